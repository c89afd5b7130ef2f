"""Pre-signed webhook requests: distinct Stripe events of about 2 KB, written to one file as records of equal size."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATH = "/webhooks/stripe"

_BODY = (
    b'{"id":"evt_%(event)s","object":"event","api_version":"2025-09-30.clover","created":%(created)d,"data":{"object":{"id":"pi_%(intent)s",'
    b'"object":"payment_intent","amount":%(amount)d,"amount_capturable":0,"amount_details":{"tip":{}},"amount_received":%(amount)d,'
    b'"application":null,"application_fee_amount":null,"automatic_payment_methods":{"allow_redirects":"always","enabled":true},'
    b'"canceled_at":null,"cancellation_reason":null,"capture_method":"automatic_async","client_secret":"pi_%(intent)s_secret_%(secret)s",'
    b'"confirmation_method":"automatic","created":%(created)d,"currency":"eur","customer":"cus_%(customer)s",'
    b'"description":"Order %(order)d","excluded_payment_method_types":null,"last_payment_error":null,"latest_charge":"ch_%(charge)s",'
    b'"livemode":false,"metadata":{"drupal_order":"%(order)d","drupal_store":"main","cart_token":"%(token)s"},"next_action":null,'
    b'"on_behalf_of":null,"payment_method":"pm_%(method)s","payment_method_configuration_details":{"id":"pmc_%(config)s","parent":null},'
    b'"payment_method_options":{"card":{"installments":null,"mandate_options":null,"network":null,"request_three_d_secure":"automatic"},'
    b'"link":{"persistent_token":null},"sepa_debit":{}},"payment_method_types":["card","link","sepa_debit"],"processing":null,'
    b'"receipt_email":"customer-%(order)d@example.org","review":null,"setup_future_usage":"off_session","shipping":{"address":{'
    b'"city":"Wien","country":"AT","line1":"Lindengasse 41","line2":"","postal_code":"1070","state":""},"carrier":null,'
    b'"name":"Zo\xc3\xab Example","phone":"+431234567","tracking_number":null},"source":null,"statement_descriptor":"EXAMPLE SHOP",'
    b'"statement_descriptor_suffix":null,"status":"succeeded","transfer_data":null,"transfer_group":"group_%(charge)s"},'
    b'"previous_attributes":null},"livemode":false,"pending_webhooks":1,"request":{"id":"req_%(request)s",'
    b'"idempotency_key":"%(key)s"},"type":"payment_intent.succeeded"}'
)
_HEAD = (
    b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
    b"Accept: */*\r\nContent-Type: application/json; charset=utf-8\r\nStripe-Signature: t=%d,v1=%b\r\nContent-Length: %d\r\n\r\n"
)
_ID_LENGTH = len("evt_") + 24


@dataclass(frozen=True, slots=True)
class Requests:
    """A file of `count` whole HTTP requests of `size` bytes each; the event id starts at `id_at` of a record."""

    path: Path
    size: int
    count: int
    id_at: int

    def event_id(self, record: bytes) -> str:
        return record[self.id_at : self.id_at + _ID_LENGTH].decode()


def bodies(count: int) -> Iterator[tuple[str, str, bytes]]:
    """`(event id, payment intent id, raw body)` of distinct events, each body of the same size."""
    created = int(time.time())
    for number in range(count):
        noise = os.urandom(92).hex().encode()
        body = _BODY % {
            b"event": noise[:24],
            b"intent": noise[24:48],
            b"secret": noise[48:73],
            b"customer": noise[73:87],
            b"charge": noise[87:111],
            b"method": noise[111:135],
            b"request": noise[135:149],
            b"config": noise[24:48][::-1],
            b"key": noise[149:181],
            b"token": noise[100:132],
            b"created": created,
            b"amount": 10_000 + number % 90_000,
            b"order": 100_000 + number % 900_000,
        }
        yield f"evt_{noise[:24].decode()}", f"pi_{noise[24:48].decode()}", body


def write(path: Path, count: int, secret: str) -> Requests:
    """Write `count` requests signed now with `secret` (Stripe tolerates 300 s); https://docs.stripe.com/webhooks/signature."""
    now = int(time.time())
    key, stamp, size, id_at = secret.encode(), b"%d." % now, 0, 0
    with path.open("wb", buffering=1 << 20) as file:
        for _, _, body in bodies(count):
            signature = hmac.digest(key, stamp + body, "sha256").hex().encode()
            record = _HEAD % (now, signature, len(body)) + body
            if not size:
                size, id_at = len(record), record.index(b"evt_")
            if len(record) != size:
                raise AssertionError("records must have one size")
            file.write(record)
    return Requests(path, size, count, id_at)
