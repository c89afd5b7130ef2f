"""How senders sign: one function per scheme, from secret, message id, unix time and raw body to headers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

Sign = Callable[[str, str, int, bytes], dict[str, str]]


def stripe(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """`Stripe-Signature`; the key is the whole secret as text: https://docs.stripe.com/webhooks#verify-manually."""
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return {"Stripe-Signature": f"t={timestamp},v1={mac.hexdigest()}"}


def standard_webhooks(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """`webhook-*`; the key is what `whsec_` hides in base64: https://github.com/standard-webhooks/standard-webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    signature = base64.b64encode(mac.digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}
