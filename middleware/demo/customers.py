"""What happens in the demo's shop: customers order and pay, before, while and after the shop tells us."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from decimal import Decimal

from middleware.demo.world import World
from middleware.simulators.drupal.checkout import Charge, Line, Paid

CATALOG = (
    ("TS-RED-M", "T-Shirt red M", "19.90"),
    ("TS-BLUE-L", "T-Shirt blue L", "21.50"),
    ("MUG", "Mug", "7.95"),
    ("POSTER", "Poster", "12.00"),
)
_CENT = 100


@dataclass(frozen=True, slots=True)
class Placed:
    """One order of this run; amounts in cents."""

    order_uuid: str
    number: str
    intent: str
    total: int
    captured: int
    refunded: int


class Customers:
    """Places orders, each once; which ones pay early, partly or get money back is drawn from the seed."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = random.Random(seed)
        self.placed: list[Placed] = []

    def order(self, *, pay_first: bool | None = None) -> Placed:
        """Order and pay; `pay_first` lets the provider's webhooks lead."""
        draw = self._random
        lines = [Line(sku, str(draw.randint(1, 3)), price, title) for sku, title, price in draw.sample(CATALOG, draw.randint(1, 3))]
        shipping = Charge("shipping", "Shipping", "4.90")
        total = int(sum(Decimal(line.unit_price or 0) * int(line.quantity) for line in lines) * _CENT) + 490
        order_uuid = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        intent = self._world.stripe.create_intent(total, "eur", {"order_uuid": order_uuid})
        first = draw.random() < 0.4 if pay_first is None else pay_first
        captured, refunded = self._pay(intent, total) if first else (0, 0)
        shown = self._world.shop.place_order(
            lines, adjustments=[shipping], payments=[Paid("stripe", intent)], currency="EUR", order_uuid=order_uuid
        )
        if not first:
            captured, refunded = self._pay(intent, total)
        placed = Placed(order_uuid, shown.number or "", intent, total, captured, refunded)
        self.placed.append(placed)
        return placed

    def _pay(self, intent: str, total: int) -> tuple[int, int]:
        draw = self._random.random()
        self._world.stripe.authorize(intent)
        captured = total // 2 if draw < 0.1 else total
        self._world.stripe.capture(intent, captured)
        refunded = captured // 3 if draw > 0.9 else 0
        if refunded:
            self._world.stripe.refund(intent, refunded)
        return captured, refunded
