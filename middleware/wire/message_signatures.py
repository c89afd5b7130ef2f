"""HTTP Message Signatures on what we send: HMAC-SHA256 over method, path, query and content digest, for one named site.

The authority is left out because proxies rewrite it; the tag names the site instead. https://www.rfc-editor.org/rfc/rfc9421
"""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_hex

from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import HMAC_SHA256
from requests import PreparedRequest
from requests.auth import AuthBase

from middleware.secret import Secret
from middleware.wire.standard_webhooks import key_of

LABEL = "waybill"
COVERED = ("@method", "@path", "@query")


class MessageSignature(AuthBase):
    """Signs each request anew, with its own time and nonce."""

    def __init__(self, key_id: str, secret: Secret, tag: str) -> None:
        """`secret` is `whsec_` and base64; raises ValueError when it is not. `tag` names the site that may accept it."""
        self._key_id, self._tag = key_id, tag
        self._signer = HTTPMessageSigner(signature_algorithm=HMAC_SHA256, key_resolver=_OneKey(key_of(secret)))

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        self._signer.sign(
            request,
            key_id=self._key_id,
            created=datetime.now(UTC),
            nonce=token_hex(16),
            label=LABEL,
            tag=self._tag,
            covered_component_ids=COVERED,
            body=body or (None if request.method in ("GET", "HEAD") else b""),
        )
        return request


class _OneKey(HTTPSignatureKeyResolver):  # type: ignore[misc]
    def __init__(self, key: bytes) -> None:
        self._key = key

    def resolve_private_key(self, key_id: str) -> bytes:
        return self._key

    def resolve_public_key(self, key_id: str) -> bytes:
        return self._key
