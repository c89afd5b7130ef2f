"""The demo's world: four simulators with their faults, and a real configuration that points at them."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from middleware import settings
from middleware.demo.catalog import TABLES, fill_erp, fill_pim
from middleware.settings import Settings
from middleware.simulators.akeneo import AkeneoSimulator
from middleware.simulators.deliveries import Deliverer, Mischief
from middleware.simulators.drupal import DrupalSimulator
from middleware.simulators.drupal.seed import Shop
from middleware.simulators.erp import ErpSimulator
from middleware.simulators.faults import Fault, FaultKind
from middleware.simulators.stripe import StripeSimulator
from middleware.vault import new_key

FOLDER = Path("var/demo")

CONFIGURATION = """\
# Made by `waybill demo`: a real configuration, for simulators instead of systems.
var = "{var}"
keys = ["file:{var}/secrets/payload-key"]
tables = "{tables}"

[web]
port = 0
threads = 8

[logging]
level = "error"

[work]
retry_base = 0.2
retry_cap = 2.0
park_for = 600

[connections.shop]
system = "drupal"
base_url = "{shop}"
secrets = ["file:{var}/secrets/shop"]
credentials = {{ password = "file:{var}/secrets/shop-password" }}
options = {{ username = "svc" }}
timeout = 5
deadline = 10
settle = 2
breaker_reset = 2

[connections.stripe]
system = "stripe"
secrets = ["file:{var}/secrets/stripe"]

[connections.erp]
system = "demo_erp"
base_url = "{erp}"
credentials = {{ key = "file:{var}/secrets/erp" }}
timeout = 1
deadline = 3
settle = 2
breaker_failures = 8
breaker_reset = 2
poll = 1
overlap = 5
every = {{ prices = 2, stock = 2 }}
full_every = {{ prices = 60, stock = 60 }}
stale_after = {{ prices = 60, stock = 60 }}

[connections.pim]
system = "akeneo"
base_url = "{pim}"
credentials = {{ client_secret = "file:{var}/secrets/pim-client", password = "file:{var}/secrets/pim-password" }}
options = {{ client_id = "1_client", username = "waybill_1", locales = ["en_US", "de_DE"] }}
overlap = 5
every = {{ categories = 5, options = 5, product_models = 2, products = 2 }}
full_every = {{ product_models = 5, products = 5 }}

[stores.main]
shop = "shop"
erp = "erp"
payments = ["stripe"]
currencies = ["EUR"]
languages = ["en"]
"""


@dataclass(frozen=True, slots=True)
class World:
    """The simulators, running."""

    shop: DrupalSimulator
    stripe: StripeSimulator
    erp: ErpSimulator
    pim: AkeneoSimulator


@contextlib.contextmanager
def simulators(seed: int) -> Iterator[World]:
    """The systems, started, with their usual bad days."""
    shop = DrupalSimulator(
        catalog=True,
        module=True,
        shop=Shop(currencies=("USD", "EUR")),
        secret="whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
        seed_number=seed,
    )
    stripe = StripeSimulator(secret="whsec_" + secrets.token_hex(16))
    erp = ErpSimulator(key=secrets.token_hex(16), seed=seed)
    pim = AkeneoSimulator(seed=seed)
    fill_pim(pim)
    fill_erp(erp.articles)
    with shop, stripe, erp, pim:
        _set_faults(shop, erp)
        yield World(shop, stripe, erp, pim)


def configure(world: World) -> Settings:
    """Write the configuration with its secrets, and load it the way that every Waybill does."""
    folder = FOLDER / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = {
        "payload-key": new_key(),
        "shop": world.shop.secret,
        "shop-password": "svc-secret",
        "stripe": world.stripe.secret,
        "erp": world.erp.key,
        "pim-client": world.pim.client[1],
        "pim-password": world.pim.user[1],
    }
    for name, value in values.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(value, "utf-8")
    config = FOLDER / "config"
    config.mkdir(exist_ok=True)
    urls = {"shop": world.shop.url, "erp": world.erp.url, "pim": world.pim.url}
    (config / "waybill.toml").write_text(CONFIGURATION.format(var=FOLDER, tables=TABLES, **urls), "utf-8")
    kept = ("WAYBILL_DATABASE_URL", "WAYBILL_BROKER_URL", "WAYBILL_BROKER_PREFIX", "WAYBILL_REDIS_URL")
    return settings.load(config, settings.environment(*kept))


def deliverers(world: World, url: str, seed: int) -> tuple[Deliverer, Deliverer]:
    """The shop's and Stripe's senders: they retry, repeat, reorder; and forgers send along."""
    mischief = Mischief(duplicate=0.2, stale=0.04, tampered=0.04, forged=0.04, shuffle=6)
    return (
        world.shop.deliver_to(f"{url}/webhooks/shop", mischief=mischief, seed=seed),
        world.stripe.deliver_to(f"{url}/webhooks/stripe", mischief=mischief, seed=seed + 1),
    )


def _set_faults(shop: DrupalSimulator, erp: ErpSimulator) -> None:
    always = None
    erp.faults.add(Fault(FaultKind.LOST_REPLY, "POST", "/orders", times=1, seconds=2))
    erp.faults.add(Fault(FaultKind.LOST_REPLY, "POST", "/orders", times=always, probability=0.03, seconds=2))
    erp.faults.add(Fault(FaultKind.RESET_AFTER, "POST", "/orders", times=always, probability=0.03))
    erp.faults.add(Fault(FaultKind.ERROR_AFTER, "POST", "/orders", times=always, probability=0.03))
    erp.faults.add(Fault(FaultKind.RESET_BEFORE, times=always, probability=0.02))
    erp.faults.add(Fault(FaultKind.ERROR, times=always, probability=0.02))
    erp.faults.add(Fault(FaultKind.RATE_LIMIT, times=always, probability=0.03, seconds=1))
    erp.faults.add(Fault(FaultKind.LATENCY, times=always, probability=0.1, seconds=0.2))
    shop.faults.add(Fault(FaultKind.ERROR, path="/jsonapi/.*", times=always, probability=0.02))
    shop.faults.add(Fault(FaultKind.LATENCY, path="/jsonapi/.*", times=always, probability=0.1, seconds=0.2))
