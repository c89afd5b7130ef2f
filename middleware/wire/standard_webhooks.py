"""Standard Webhooks signatures, verified over the raw body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime

from middleware.errors import SignatureRefused, Stale
from middleware.ports import Inbound
from middleware.secret import Secret

PREFIX = "whsec_"


def key_of(secret: Secret) -> bytes:
    """The key bytes of a `whsec_` + base64 secret (padding optional); raises ValueError when it is none or empty."""
    text = secret.reveal().removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError(f"{secret.source}: expected whsec_ and base64") from None
    if not key:
        raise ValueError(f"{secret.source}: the key is empty")
    return key


def verify(request: Inbound, keys: Sequence[bytes], tolerance: float = 300) -> tuple[str, int]:
    """The `webhook-id` and which key signed; raises `SignatureRefused` or `Stale` (± `tolerance` seconds)."""
    message_id, timestamp, header = (request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not message_id or not header or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise SignatureRefused("webhook-id, webhook-timestamp or webhook-signature is missing or malformed")
    given = [signature.encode() for version, _, signature in (item.partition(",") for item in header.split(" ")) if version == "v1"]
    signed = f"{message_id}.{timestamp}.".encode() + request.body
    for index, key in enumerate(keys):  # noqa: B007 - used after the loop
        expected = base64.b64encode(hmac.digest(key, signed, "sha256"))
        if any(hmac.compare_digest(expected, signature) for signature in given):
            break
    else:
        raise SignatureRefused("no signature matches" if keys else "the connection has no secret")
    if abs(request.received_at.timestamp() - int(timestamp)) > tolerance:
        raise Stale(f"signed at {timestamp}, outside {tolerance:.0f} s")
    return message_id, index


def signed(message_id: str, at: datetime, body: bytes, key: bytes) -> dict[str, str]:
    """The headers that a sender would put on a body."""
    timestamp = str(int(at.timestamp()))
    digest = base64.b64encode(hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")).decode()
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{digest}"}
