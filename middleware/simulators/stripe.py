"""A stand-in for Stripe: payment intents that one moves by hand, the events of each move, and the API to ask again."""

from __future__ import annotations

import base64
import binascii
import copy
import json
import random
import string
import time
from collections.abc import Callable, Mapping

from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from middleware.simulators import signatures, stripe_objects
from middleware.simulators._server import Simulator, reply, route
from middleware.simulators.deliveries import Deliverer, Mischief
from middleware.simulators.stripe_objects import Json

_ROUTES = Map(
    [
        Rule("/v1/events", endpoint="list_events", methods=["GET"]),
        Rule("/v1/payment_intents/<intent_id>/<any(capture, cancel):deed>", endpoint="do", methods=["POST"]),
        Rule("/v1/refunds", endpoint="give_back", methods=["POST"]),
        Rule("/v1/<any(payment_intents, charges, refunds, disputes, events):kind>/<object_id>", endpoint="read", methods=["GET"]),
    ]
)
_ID_LETTERS = string.ascii_letters + string.digits


class StripeSimulator(Simulator):
    """`key` is the secret API key, `secret` the endpoint's signing secret; `seed` None makes ids that no other run has."""

    name = "stripe"

    def __init__(
        self,
        *,
        key: str = "sk_test_simulated",
        secret: str = "whsec_simulated",
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed=seed or 0)
        self.secret = secret
        self.events: list[Json] = []
        self.deliverer: Deliverer | None = None
        self._key = key
        self._clock = clock
        self._random = random.Random(seed)
        self._objects: dict[str, Json] = {}
        self._positions: dict[str, int] = {}
        self._answered: dict[str, Response] = {}

    def deliver_to(self, target: str, *, mischief: Mischief | None = None, seed: int = 0, workers: int = 2) -> Deliverer:
        """Post every later event to `target`; the deliverer returned is started with its own `start`."""
        self.deliverer = Deliverer(
            target,
            signatures.stripe,
            self.secret,
            mischief=mischief,
            seed=seed,
            workers=workers,
            user_agent="Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        )
        return self.deliverer

    def create_intent(self, amount: int, currency: str, metadata: Mapping[str, str], *, capture_method: str = "manual") -> str:
        """A new payment intent of `amount` minor units; returns its id."""
        with self.lock:
            intent = stripe_objects.payment_intent(self._id("pi"), amount, currency, created=self._now())
            intent.update(metadata=dict(metadata), capture_method=capture_method)
            self._keep(intent)
            self._emit("payment_intent.created", intent)
            return str(intent["id"])

    def require_action(self, intent_id: str) -> None:
        """The buyer must pass 3-D Secure."""
        with self.lock:
            intent = self._in(intent_id, "requires_payment_method", "requires_confirmation")
            intent.update(status="requires_action", next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {}})
            self._emit("payment_intent.requires_action", intent)

    def authorize(self, intent_id: str) -> None:
        """The bank holds the money; what follows is `capture` or `cancel`."""
        with self.lock:
            intent = self._in(intent_id, "requires_payment_method", "requires_action")
            charge = self._charge(intent)
            intent.update(status="requires_capture", amount_capturable=intent["amount"], next_action=None, last_payment_error=None)
            self._emit("charge.succeeded", charge)
            self._emit("payment_intent.amount_capturable_updated", intent)

    def capture(self, intent_id: str, amount: int | None = None) -> None:
        """Take the money, or `amount` of it; an automatic intent is charged and captured at once."""
        with self.lock:
            intent = self._in(intent_id, "requires_capture", "requires_payment_method", "requires_action")
            held = intent["status"] == "requires_capture"
            charge = self._objects[intent["latest_charge"]] if held else self._charge(intent)
            taken = intent["amount"] if amount is None else amount
            if not 0 < taken <= intent["amount"]:
                raise ValueError(f"cannot capture {taken} of {intent['amount']}")
            charge.update(captured=True, amount_captured=taken, balance_transaction=self._id("txn"))
            intent.update(status="succeeded", amount_received=taken, amount_capturable=0, next_action=None, last_payment_error=None)
            if held:
                self._emit("charge.captured", charge, {"captured": False, "amount_captured": 0})
            else:
                self._emit("charge.succeeded", charge)
            self._emit("payment_intent.succeeded", intent)

    def fail(self, intent_id: str, code: str = "generic_decline") -> None:
        """The bank declines; the intent may be tried again."""
        with self.lock:
            intent = self._in(intent_id, "requires_payment_method", "requires_action")
            charge = self._charge(intent)
            error = stripe_objects.payment_error(code, charge)
            charge.update(status="failed", paid=False, failure_code=error["code"], failure_message=error["message"])
            intent.update(status="requires_payment_method", next_action=None, last_payment_error=error)
            self._emit("charge.failed", charge)
            self._emit("payment_intent.payment_failed", intent)

    def cancel(self, intent_id: str, reason: str | None = None) -> None:
        """Give the hold back; nothing was taken."""
        with self.lock:
            intent = self._in(intent_id, "requires_payment_method", "requires_action", "requires_capture")
            intent.update(status="canceled", canceled_at=self._now(), cancellation_reason=reason, amount_capturable=0, next_action=None)
            self._emit("payment_intent.canceled", intent)

    def refund(self, intent_id: str, amount: int | None = None) -> str:
        """Give back `amount`, or all that is left; returns the refund's id."""
        with self.lock:
            charge = self._captured(intent_id)
            left = charge["amount_captured"] - charge["amount_refunded"]
            given = left if amount is None else amount
            if not 0 < given <= left:
                raise ValueError(f"cannot refund {given} of {left}")
            before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
            refund = self._keep(stripe_objects.refund(self._id("re"), charge, given, self._now()))
            charge["amount_refunded"] += given
            charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
            charge["refunds"]["data"].insert(0, refund)
            self._emit("refund.created", refund)
            self._emit("charge.refunded", charge, before)
            return str(refund["id"])

    def dispute(self, intent_id: str, amount: int | None = None, reason: str = "fraudulent") -> str:
        """The buyer's bank takes the money back for now; returns the dispute's id."""
        with self.lock:
            charge = self._captured(intent_id)
            disputed = charge["amount_captured"] if amount is None else amount
            dispute = self._keep(stripe_objects.dispute(self._id("dp"), charge, disputed, reason, self._now()))
            charge["disputed"] = True
            self._emit("charge.dispute.created", dispute)
            self._emit("charge.dispute.funds_withdrawn", dispute)
            return str(dispute["id"])

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        """The bank decides: won brings the money back."""
        with self.lock:
            dispute = self._in(dispute_id, "needs_response")
            dispute["status"] = "won" if won else "lost"
            self._emit("charge.dispute.closed", dispute, {"status": "needs_response"})
            if won:
                self._emit("charge.dispute.funds_reinstated", dispute)

    def intent(self, intent_id: str) -> Json:
        """A copy of the intent as the API would show it."""
        with self.lock:
            return copy.deepcopy(self._objects[intent_id])

    def answer(self, request: Request) -> Response:
        if _presented_key(request) != self._key:
            return _error(401, "invalid_request_error", "Invalid API Key provided")
        return route(_ROUTES, self, request)

    def read(self, request: Request, kind: str, object_id: str) -> Response:
        found = self._objects.get(object_id)
        if found is None or found["object"] != kind.removesuffix("s"):
            return _error(404, "invalid_request_error", f"No such {kind.removesuffix('s')}: '{object_id}'", code="resource_missing")
        if request.args.get("expand[]") == "latest_charge.refunds" and found.get("latest_charge"):
            found = {**found, "latest_charge": self._objects[found["latest_charge"]]}
        return reply(found)

    def do(self, request: Request, intent_id: str, deed: str) -> Response:
        """Capture or cancel an intent; the same Idempotency-Key gets the same answer."""
        amount = request.form.get("amount_to_capture", type=int)

        def act() -> Json:
            self.capture(intent_id, amount) if deed == "capture" else self.cancel(intent_id)
            return self._objects[intent_id]

        return self._once(request, act)

    def give_back(self, request: Request) -> Response:
        intent, amount = request.form["payment_intent"], request.form.get("amount", type=int)
        return self._once(request, lambda: self._objects[self.refund(intent, amount)])

    def _once(self, request: Request, act: Callable[[], Json]) -> Response:
        """https://docs.stripe.com/api/idempotent_requests"""
        key = request.headers.get("Idempotency-Key", "")
        if key and key in self._answered:
            return self._answered[key]
        try:
            answer = reply(copy.deepcopy(act()))
        except KeyError:
            return _error(404, "invalid_request_error", "No such object", code="resource_missing")
        except ValueError as error:
            answer = _error(400, "invalid_request_error", str(error), code="payment_intent_unexpected_state")
        return self._answered.setdefault(key, answer) if key else answer

    def list_events(self, request: Request) -> Response:
        """Newest first; `ending_before` gives the page next to the named event on its newer side, `starting_after` on its older."""
        kinds = [value for name, value in request.args.items(multi=True) if name.startswith("types[") or name == "type"]
        found = [event for event in reversed(self.events) if (not kinds or event["type"] in kinds) and self._wanted(request, event)]
        limit = max(1, min(request.args.get("limit", 10, type=int), 100))
        newer, older = request.args.get("ending_before"), request.args.get("starting_after")
        for cursor in filter(None, (newer, older)):
            if cursor not in self._positions:
                return _error(400, "invalid_request_error", f"No such event: '{cursor}'", code="resource_missing")
        if newer:
            found = [event for event in found if self._positions[event["id"]] > self._positions[newer]]
            page = found[-limit:]
        else:
            found = [event for event in found if not older or self._positions[event["id"]] < self._positions[older]]
            page = found[:limit]
        return reply({"object": "list", "url": "/v1/events", "has_more": len(found) > len(page), "data": page})

    def _wanted(self, request: Request, event: Json) -> bool:
        if event["created"] < request.args.get("created[gte]", 0, type=int):
            return False
        wanted = request.args.get("delivery_success")
        accepted = self.deliverer is not None and self.deliverer.accepted(event["id"])
        return wanted is None or (wanted == "true") == accepted

    def _emit(self, kind: str, about: Json, before: Json | None = None) -> None:
        data = {"object": copy.deepcopy(about), **({"previous_attributes": before} if before else {})}
        event = self._keep(stripe_objects.event(self._id("evt"), kind, data, self._now()))
        self._positions[event["id"]] = len(self.events)
        self.events.append(event)
        if self.deliverer:
            self.deliverer.send(event["id"], json.dumps(event, indent=2).encode())

    def _charge(self, intent: Json) -> Json:
        charge = self._keep(stripe_objects.charge(self._id("ch"), intent, self._now()))
        intent.update(latest_charge=charge["id"], payment_method=charge["payment_method"])
        return charge

    def _captured(self, intent_id: str) -> Json:
        return self._objects[self._in(intent_id, "succeeded")["latest_charge"]]

    def _in(self, object_id: str, *statuses: str) -> Json:
        found = self._objects[object_id]
        if found["status"] not in statuses:
            raise ValueError(f"{object_id} is {found['status']}, expected {' or '.join(statuses)}")
        return found

    def _keep(self, thing: Json) -> Json:
        self._objects[thing["id"]] = thing
        return thing

    def _id(self, prefix: str) -> str:
        return f"{prefix}_3Sim{''.join(self._random.choices(_ID_LETTERS, k=20))}"

    def _now(self) -> int:
        return int(self._clock())


def _presented_key(request: Request) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        return value
    try:
        return base64.b64decode(value).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _error(status: int, kind: str, message: str, *, code: str | None = None) -> Response:
    error = {"type": kind, "message": message, **({"code": code} if code else {})}
    return reply({"error": error}, status)
