"""The PHP of the Drupal module without Drupal: its syntax, its style, and its signatures against libraries that others wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import standardwebhooks
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import HMAC_SHA256

from middleware.testing import secret
from middleware.wire.message_signatures import MessageSignature

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "drupal_module" / "commerce_waybill"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OTHER = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=="
PHP = shutil.which("php") or ""
if not PHP:
    pytest.skip("no PHP on this machine (Debian: php-cli)", allow_module_level=True)


class Module:
    """The module's pure classes, in a PHP process of their own."""

    def __init__(self) -> None:
        script = ROOT / "tests" / "real" / "drupal" / "signatures.php"
        self._process = subprocess.Popen([PHP, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def judge(self, request: requests.PreparedRequest, **changes: Any) -> dict[str, Any]:
        """Its verdict on a request as it arrives; `changes` are made on the way."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        arrived = {
            "method": request.method,
            "target": request.path_url,
            "body": body,
            "input": headers["signature-input"],
            "signature": headers["signature"],
            "digest": headers.get("content-digest", ""),
            "secret": SECRET,
            "now": int(time.time()),
        }
        return self.ask(ask="verify", **arrived | changes)

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def module() -> Iterator[Module]:
    started = Module()
    yield started
    started.close()


def signed(method: str = "POST", url: str = "https://shop.example/waybill/v1/operations?a=1%202&b=%C3%A9", body: str = '{"ä": 1}') -> Any:
    auth = MessageSignature("waybill-1", secret(SECRET), "waybill:shop")
    return requests.Request(method, url, data=body.encode() or None, auth=auth).prepare()


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "https://shop.example/waybill/v1/operations", '{"ä": 1}'),
        ("POST", "https://shop.example/waybill/v1/pong", ""),
        ("PATCH", "https://shop.example/jsonapi/x/y?filter%5Ba%5D=b%20c&page%5Blimit%5D=50", "{}"),
        ("GET", "https://shop.example/waybill/v1/status", ""),
        ("GET", "https://shop.example/a%2Fb/%C3%A9?x", ""),
        ("DELETE", "https://shop.example/jsonapi/x/1?", ""),
    ],
)
def test_what_we_sign_the_module_accepts(module: Module, method: str, url: str, body: str) -> None:
    found = module.judge(signed(method, url, body))
    assert {name: found.get(name) for name in ("key", "tag")} == {"key": "waybill-1", "tag": "waybill:shop"}, found
    assert len(found["nonce"]) == 32


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"body": '{"ä": 2}'}, "Content-Digest"),
        ({"method": "PUT"}, "does not match"),
        ({"target": "/waybill/v1/operations"}, "does not match"),
        ({"target": "/waybill/v1/status?a=1%202&b=%C3%A9"}, "does not match"),
        ({"secret": OTHER}, "does not match"),
        ({"secret": ""}, "empty"),
        ({"digest": ""}, "does not match"),
        ({"signature": "waybill=:AAAA:"}, "does not match"),
        ({"signature": "other=:AAAA:"}, "does not hold"),
        ({"signature": "waybill=AAAA"}, "does not hold"),
        ({"input": "waybill=()"}, "not one signature"),
        ({"input": 'a=("@method");created=1, b=("@method");created=1'}, "not one signature"),
        ({"input": 'waybill=("@method" "@path" "@query");created=1;keyid="k";nonce="n";tag="t"'}, "does not cover content-digest"),
        ({"input": 'waybill=("@method");created=1;created=2;keyid="k";nonce="n";tag="t"'}, "twice"),
        ({"input": 'waybill=("@method");created=1;keyid="k";nonce="n";tag="t";alg="rsa-v1_5-sha256"'}, "algorithm"),
        ({"now": int(time.time()) + 40_000}, "outside 300 seconds"),
        ({"now": int(time.time()) - 40_000}, "outside 300 seconds"),
    ],
)
def test_what_was_changed_on_the_way_the_module_refuses(module: Module, changes: dict[str, Any], why: str) -> None:
    assert why in module.judge(signed(), **changes)["refused"]


class _Key(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> bytes:
        return b"0123456789abcdef01234567"


@pytest.mark.parametrize("covered", [("@method", "@path"), ("@method", "@path", "@query", "@authority"), ("@target-uri",)])
def test_a_signature_over_other_things_is_refused(module: Module, covered: tuple[str, ...]) -> None:
    request = requests.Request("POST", "https://shop.example/waybill/v1/pong", data=b"{}").prepare()
    signer = HTTPMessageSigner(signature_algorithm=HMAC_SHA256, key_resolver=_Key())
    signer.sign(request, key_id="k", nonce="n", tag="t", covered_component_ids=covered, body=b"{}", created=datetime.now(UTC))
    assert "cover" in module.judge(request)["refused"]


@pytest.mark.parametrize("body", ["{}", '{"name": "Łukasz", "emoji": "📦"}', "x" * 100_000])
def test_what_the_module_signs_the_official_library_accepts(module: Module, body: str) -> None:
    headers = module.ask(ask="sign", id="evt_1", timestamp=int(time.time()), body=body, secret=SECRET)
    standardwebhooks.Webhook(SECRET).verify(body, headers, json_parse=False)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(OTHER).verify(body, headers, json_parse=False)


FILES = sorted(file for suffix in ("php", "module", "install") for file in MODULE.rglob(f"*.{suffix}"))


def test_every_file_of_the_module_parses() -> None:
    assert FILES
    broken = [done.stdout for file in FILES if (done := _run(PHP, "-l", str(file))).returncode]
    assert broken == []


def test_every_file_of_the_module_keeps_to_the_coding_standard() -> None:
    """The Drupal standard where drupal/coder is installed, else what of it php-codesniffer itself brings."""
    phpcs = shutil.which("phpcs")
    if not phpcs:
        pytest.skip("no phpcs on this machine (Debian: php-codesniffer)")
    drupal = "Drupal," in _run(phpcs, "-i").stdout.replace(" and ", ",")
    standard = MODULE / ("phpcs.xml.dist" if drupal else "phpcs.basic.xml")
    done = _run(phpcs, "-q", f"--standard={standard}", str(MODULE))
    assert done.returncode == 0, done.stdout


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
