"""PayPal's signature: a certificate of theirs, its chain to a trusted root, and RSA over the transmission and the body's CRC.

https://developer.paypal.com/api/rest/webhooks/rest/#verify-webhook-signature
"""

from __future__ import annotations

import base64
import re
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from middleware.errors import Busy, CallError, Rejected, SignatureRefused
from middleware.wire.payment_calls import BROKEN

LONGEST_CHAIN = 5
UNFAMILIAR = 10
"""Certificates that are asked for within a minute: whoever sends made-up ones makes us ask no more often."""
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n"
_HOST = re.compile(r"([a-z0-9-]+\.)*paypal\.com")
_PATH = re.compile(r"/v1/notifications/certs/CERT-[A-Za-z0-9-]{1,80}")


@dataclass(frozen=True, slots=True)
class Transmission:
    """What the headers say of one delivery."""

    id: str
    time: str
    signature: bytes
    url: str
    certificate: str
    sandbox: bool

    def signed(self, webhook_id: str, body: bytes) -> bytes:
        """The text that PayPal signs; the CRC is of the raw bytes, unsigned and decimal."""
        return f"{self.id}|{self.time}|{webhook_id}|{zlib.crc32(body)}".encode("latin-1", "replace")

    def question(self, webhook_id: str, body: bytes) -> bytes:
        """What PayPal is asked that verifies its own signature: the event goes in byte for byte. Raises `SignatureRefused` when it
        is no JSON. https://developer.paypal.com/docs/api/webhooks/v1/#verify-webhook-signature_post"""
        try:
            msgspec.json.decode(body)
        except BROKEN:
            raise SignatureRefused("the body is no JSON") from None
        told = {
            "auth_algo": "SHA256withRSA",
            "cert_url": self.url,
            "transmission_id": self.id,
            "transmission_sig": base64.b64encode(self.signature).decode(),
            "transmission_time": self.time,
            "webhook_id": webhook_id,
        }
        return msgspec.json.encode(told)[:-1] + b',"webhook_event":' + body + b"}"


def transmission(headers: Mapping[str, str]) -> Transmission:
    """Raises `SignatureRefused` for headers that are none, and for a certificate of another host than PayPal's."""
    told = {name: headers.get(f"paypal-{name}", "") for name in ("transmission-id", "transmission-time", "transmission-sig", "cert-url")}
    if not all(told.values()):
        raise SignatureRefused("the PayPal headers are not complete")
    if headers.get("paypal-auth-algo") != "SHA256withRSA":
        raise SignatureRefused("the algorithm is not SHA256withRSA")
    try:
        url = urlsplit(told["cert-url"])
        signature = base64.b64decode(told["transmission-sig"], validate=True)
    except ValueError:
        raise SignatureRefused("the signature or the certificate's address is none") from None
    host = url.netloc
    if url.scheme != "https" or not _HOST.fullmatch(host) or not _PATH.fullmatch(url.path) or url.query:
        raise SignatureRefused("the certificate is not one of PayPal's")
    return Transmission(told["transmission-id"], told["transmission-time"], signature, told["cert-url"], url.path, "sandbox" in host)


def roots(authority: str, more: str) -> list[x509.Certificate]:
    """The public roots of one authority by its name, and the certificates of the PEM file `more` ("": none); raises ValueError
    when there are none."""
    blocks = Path(certifi.where()).read_text("utf-8").split(_END)
    named = "".join(block[block.index(_BEGIN) :] + _END for block in blocks if authority in block and _BEGIN in block)
    try:
        trusted = x509.load_pem_x509_certificates(named.encode()) if authority and named else []
        return [*trusted, *(x509.load_pem_x509_certificates(Path(more).read_bytes()) if more else [])]
    except (OSError, ValueError):
        raise ValueError("trusted_certificates: the file cannot be read or holds none") from None


@dataclass(frozen=True, slots=True)
class Trusted:
    """A signing certificate, and between which times its whole chain is valid."""

    leaf: x509.Certificate
    since: datetime
    until: datetime


class Certificates:
    """The signing certificates that were met, each asked for once; threads may share it."""

    def __init__(self, trusted: Sequence[x509.Certificate], ask: Callable[[str], bytes]) -> None:
        """`ask` gets the PEM at a path of PayPal's API; it raises `CallError`, `Rejected` where there is none."""
        self.trusted = trusted
        self.known: dict[str, bytes] = {}
        self._held: dict[str, Trusted] = {}
        self._ask = ask
        self._asked: deque[datetime] = deque(maxlen=UNFAMILIAR)

    def leaf(self, path: str, at: datetime) -> x509.Certificate:
        """The certificate at `path`, valid at `at`; raises `SignatureRefused`, and `Busy` where it cannot be had now."""
        held = self._held.get(path)
        if held is None or not held.since <= at <= held.until:
            pem = self.known.get(path) or self._fetched(path, at)
            held = trusted_leaf(pem, self.trusted, at)
            self.known[path], self._held[path] = pem, held
        return held.leaf

    def _fetched(self, path: str, at: datetime) -> bytes:
        if len(self._asked) == UNFAMILIAR and at - self._asked[0] < timedelta(minutes=1):
            raise Busy("too many certificates are not known yet")
        self._asked.append(at)
        try:
            return self._ask(path)
        except Rejected:
            raise SignatureRefused("PayPal has no such certificate") from None
        except CallError as error:
            raise Busy(f"the certificate cannot be had now: {error.reason}") from error


def trusted_leaf(pem: bytes, trusted: Sequence[x509.Certificate], at: datetime) -> Trusted:
    """The signing certificate of a PEM bundle, once its chain ends in a trusted one; raises `SignatureRefused`."""
    try:
        chain = x509.load_pem_x509_certificates(pem)[:LONGEST_CHAIN]
        leaf, intermediates = chain[0], chain[1:]
        names = {str(name.value) for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    except (ValueError, IndexError):
        raise SignatureRefused("the certificate is none") from None
    if not names or not all(name.endswith(".paypal.com") for name in names):
        raise SignatureRefused("the certificate is not in PayPal's name")
    current, used = leaf, [leaf]
    for _ in range(LONGEST_CHAIN):
        if not current.not_valid_before_utc <= at <= current.not_valid_after_utc:
            raise SignatureRefused("the certificate is not valid at this time")
        if root := _issuer(current, trusted, at):
            used.append(root)
            return Trusted(leaf, max(one.not_valid_before_utc for one in used), min(one.not_valid_after_utc for one in used))
        following = _issuer(current, intermediates, at)
        if following is None:
            break
        current = following
        used.append(current)
    raise SignatureRefused("the certificate leads to no trusted root")


def _issuer(certificate: x509.Certificate, among: Sequence[x509.Certificate], at: datetime) -> x509.Certificate | None:
    """Which certificate authority of `among` issued it, valid now."""
    for candidate in among:
        if candidate.subject != certificate.issuer or not candidate.not_valid_before_utc <= at <= candidate.not_valid_after_utc:
            continue
        try:
            certificate.verify_directly_issued_by(candidate)
            if candidate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                return candidate
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            continue
    return None


def made(leaf: x509.Certificate, signature: bytes, signed: bytes) -> bool:
    """Whether the certificate's key made the signature."""
    key = leaf.public_key()
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
