"""Replays the recorded pairs of a real Drupal site against the simulator, once, in their order."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import requests

from middleware.simulators.drupal import SERVICE_PERMISSIONS, Charge, DrupalSimulator, Line, Paid, Shop, User
from middleware.simulators.drupal.entities import Entity

FOLDER = Path(__file__).parent.parent / "payloads" / "golden"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
RECORDED_AT = "http://127.0.0.1:8888"
HEADERS = ("Content-Type", "Content-Language", "Location", "Allow", "WWW-Authenticate")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
VARIATIONS, PRODUCTS = "commerce_product_variation--default", "commerce_product--default"
HANDLING = (Charge("custom", "Handling", "2.50"),)


@dataclass
class Pair:
    """One recorded request and its answer."""

    name: str
    raw: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        found = {name.title(): value for name, value in self.raw["response_headers"]}
        return {name: found[name.title()] for name in HEADERS if name.title() in found}

    @property
    def at(self) -> float:
        date = next(value for name, value in self.raw["response_headers"] if name == "Date")
        return parsedate_to_datetime(date).timestamp()


def pair(name: str) -> Pair:
    return Pair(name, json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


@dataclass
class Answer:
    """What the simulator said to a pair's request."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Replay:
    """Sends the requests up to the one that is asked for; learns which of its UUIDs stands for which recorded one."""

    now: float = 0
    answers: list[Answer] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = datetime.fromisoformat("2026-11-22T01:01:28+00:00").timestamp()
        users = (
            User("svc", "svc-secret", "9f3b4ac0-613a-4181-a8b7-920c6b832bf3", 2, SERVICE_PERMISSIONS),
            User("nobody", "nobody-secret", "05650000-0000-4000-8000-000000000003", 3),
        )
        shop = Shop("Lab Shop", "Lab Store", gateways=("example", "manual"))
        self.simulator = DrupalSimulator(users=users, shop=shop, order_fields=(), clock=lambda: self.now)
        _history(self)

    def answer(self, name: str) -> Answer:
        while len(self.answers) <= NAMES.index(name):
            self._send(pair(NAMES[len(self.answers)]))
        return self.answers[NAMES.index(name)]

    def translated(self, recorded: Any) -> Any:
        """A recorded value with the simulator's address and UUIDs."""
        text = json.dumps(recorded).replace(RECORDED_AT, self.simulator.url)
        return json.loads(UUID.sub(lambda found: self.known.get(found[0], found[0]), text))

    def _send(self, wanted: Pair) -> None:
        self.now = max(self.now, wanted.at)
        between = _BETWEEN.get(int(wanted.name[:3]))
        if between:
            between(self)
        raw = wanted.raw
        body = self.translated(raw["request_body_raw"])
        response = requests.request(
            raw["method"],
            self.simulator.url + self.translated(raw["path"]),
            headers=raw["request_headers"],
            data=body.encode() if body else None,
            timeout=5,
        )
        headers = {name: response.headers[name] for name in HEADERS if name in response.headers}
        is_json = headers.get("Content-Type", "").startswith("application/vnd.api+json")
        self.answers.append(Answer(response.status_code, headers, response.json() if is_json else None))
        self._learn(raw["response_body"], self.answers[-1].body)

    def _learn(self, recorded: Any, got: Any) -> None:
        if isinstance(recorded, dict) and isinstance(got, dict):
            for name in recorded.keys() & got.keys():
                self._learn(recorded[name], got[name])
        elif isinstance(recorded, list) and isinstance(got, list):
            for one, other in zip(recorded, got, strict=False):
                self._learn(one, other)
        elif isinstance(recorded, str) and isinstance(got, str) and UUID.fullmatch(recorded) and UUID.fullmatch(got):
            self.known.setdefault(recorded, got)


def aligned(recorded: Any, got: Any) -> Any:
    """The recorded value; an instant that differs from ours by at most two seconds is ours."""
    if isinstance(recorded, dict) and isinstance(got, dict):
        return {name: aligned(value, got.get(name)) for name, value in recorded.items()}
    if isinstance(recorded, list) and isinstance(got, list) and len(recorded) == len(got):
        return [aligned(one, other) for one, other in zip(recorded, got, strict=True)]
    if isinstance(recorded, str) and isinstance(got, str) and INSTANT.fullmatch(recorded) and INSTANT.fullmatch(got):
        apart = datetime.fromisoformat(recorded) - datetime.fromisoformat(got)
        return got if abs(apart.total_seconds()) <= 2 else recorded
    return recorded


def without_salt(body: Any) -> Any:
    """A body whose omitted resources are listed by address: Drupal salts the keys at random."""
    omitted = (body or {}).get("meta", {}).get("omitted") if isinstance(body, dict) else None
    if not omitted:
        return body
    links = dict(omitted["links"])
    shown = {"help": links.pop("help"), "items": sorted(links.values(), key=lambda link: link["href"])}
    return {**body, "meta": {"omitted": {**omitted, "links": shown}}}


def _history(replay: Replay) -> None:
    """What earlier visits had left on the recorded site: variations (some of them orphans) and orders."""
    simulator, site = replay.simulator, replay.simulator.site
    page = pair("043-variation-page-limit-over-50").raw["response_body"]
    listed = [(one["attributes"]["sku"], one["id"]) for one in page["data"]]
    omitted = [link["href"].rsplit("/", 1)[1] for key, link in page["meta"]["omitted"]["links"].items() if key != "help"]
    owner = {"uid": "9f3b4ac0-613a-4181-a8b7-920c6b832bf3"}
    price = {"number": "21.55", "currency_code": "USD"}
    for sku, uuid in [*((f"LOST-{number}", uuid) for number, uuid in enumerate(omitted)), *listed]:
        variation = site.draft(VARIATIONS, {"sku": sku, "price": price}, owner, uuid=uuid)
        site.save(variation)
        if uuid not in omitted:
            references = {**owner, "stores": [simulator.store_uuid], "variations": [uuid]}
            site.save(site.draft(PRODUCTS, {"title": sku}, references))
    for recorded in pair("066-order-filter-changed-rfc3339").raw["response_body"]["data"][:-1]:
        _old_order(replay, recorded["id"], **recorded["attributes"])
    site.entities.last_ids.update(commerce_product_variation=6708, commerce_product=6671, commerce_payment=7)
    site.entities.last_ids["order number"] = 10


def _old_order(replay: Replay, uuid: str, *, order_number: str | None, changed: str) -> None:
    replay.now = datetime.fromisoformat(changed).timestamp()
    price = "19.99" if order_number == "6" else "21.55"
    lines = [Line("SEED-00000", "2", price)]
    replay.simulator.place_order(lines, adjustments=HANDLING, order_uuid=uuid, placed=order_number is not None)
    entities = replay.simulator.site.entities
    order = entities.get(uuid).copy()
    order.values["order_number"] = order_number
    if order_number in ("1", "2", "3", "4"):
        order.values["state"] = "completed"
    entities.put(order)


def _order(uuid: str, *, placed: bool = True, paid: tuple[Paid, ...] = ()) -> Any:
    lines = [Line("LAB-a5e6bd-A", "2", "21.55")]
    return lambda replay: replay.simulator.place_order(lines, adjustments=HANDLING, payments=paid, placed=placed, order_uuid=uuid)


def _translate(replay: Replay) -> None:
    product = replay.translated("9f6a4362-f6d2-4812-935d-937138b25d44")
    replay.simulator.translate(product, "de", {"title": "Produkt auf Deutsch"})


def _second_editor(replay: Replay) -> None:
    def save(loaded: Entity) -> None:
        other = loaded.copy()
        other.values["field_stock"] = 20
        replay.simulator.site.save(other)

    replay.simulator.site.meanwhile = save


def _one_editor(replay: Replay) -> None:
    replay.simulator.site.meanwhile = None


_BETWEEN = {
    45: _order("b1b93135-bb19-471d-b87d-95dfd5e73ab7", paid=(Paid("manual", state="pending"),)),
    69: _order("7547bd0f-bc26-48df-973f-82f2266e08f2", placed=False),
    72: _order("bab6a079-e83e-4973-bc12-061a2b9ee148"),
    118: _translate,
    130: _second_editor,
    131: _one_editor,
    138: lambda replay: replay.simulator.authentication.clear_flood(),
}
"""What happened on the recorded site, not through JSON:API, before the pair of that number."""
