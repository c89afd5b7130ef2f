"""waybill init, check, migrate, systems."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.table import Table

from middleware import connectors, settings
from middleware.commands import database, loaded, mistakes, out
from middleware.database import engine_for, migrate, revisions
from middleware.errors import SettingsError
from middleware.vault import new_key

FIRST_CONFIGURATION = """\
# Waybill's configuration. Secrets are never written here, only where they are: env:NAME or file:PATH.
# `waybill check` reports every mistake in this file at once.

# Encrypts payloads at rest: base64 of 32 bytes, newest first; keep an old key until retention has dropped what it sealed.
keys = ["env:WAYBILL_KEY"]

# [database]                       # without it, an embedded PostgreSQL is made under var/
# url = "postgresql://waybill@127.0.0.1/waybill"
# [broker]                         # without it, web and worker run in one process
# url = "redis://127.0.0.1:6379/0"
# [redis]                          # shared limits and breakers of several processes
# url = "redis://127.0.0.1:6379/1"

[web]
# What senders call; some providers sign it.
public_url = "https://waybill.example.com"

# A connection is one configured instance of a system; its webhooks arrive at /webhooks/<name>.
[connections.shop]
system = "drupal"
base_url = "https://shop.example.com"
secrets = ["env:SHOP_WEBHOOK_SECRET"]        # whsec_…: signs the module's order events; several while one is rotated
credentials = { signing_key = "env:SHOP_SIGNING_KEY" }     # whsec_…: the key that the module's settings list
options = { key_id = "waybill-1", site_tag = "waybill:shop" }
# Without the module: credentials = { password = "env:SHOP_PASSWORD" }, options = { username = "waybill" }
live = true

[connections.stripe]
system = "stripe"
secrets = ["env:STRIPE_WEBHOOK_SECRET"]      # whsec_…: of the endpoint in Stripe's dashboard
payment_writer = "observe"                   # the shop's own gateway module writes; "own": Waybill does
live = true                                  # a test event is refused on a live connection

[connections.erp]
system = "tryton"
base_url = "https://erp.example.com/company"
credentials = { key = "env:TRYTON_KEY" }
options = { company = 1, web_shop = 1 }
timeout = 10        # seconds per read
deadline = 30       # seconds for a whole call
settle = 60         # the ERP's longest request: an unknown outcome rests that long before it is looked up
concurrency = 4
# rate = "10/second"
poll = 30           # seconds between looks for changed orders
live = true

# A store of the shop, and the connections that serve it.
[stores.main]
shop = "shop"
shop_ref = ""              # the store's id in Drupal; empty when there is only one
erp = "erp"
payments = ["stripe"]
currencies = ["EUR"]
languages = ["en"]
export_when = "placed"     # or "paid"
"""


@click.command()
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=Path("config"), show_default=True, help="Folder to write to."
)
def init(into: Path) -> None:
    """Write a commented first configuration and a fresh payload key."""
    target, secrets = into / "waybill.toml", into / "waybill.env"
    there = [file for file in (target, secrets) if file.exists()]
    if there:
        raise SettingsError([f"{file}: exists already; waybill init never overwrites" for file in there])
    into.mkdir(parents=True, exist_ok=True)
    target.write_text(FIRST_CONFIGURATION, "utf-8")
    secrets.touch(mode=0o600)
    names = ("SHOP_WEBHOOK_SECRET", "SHOP_SIGNING_KEY", "STRIPE_WEBHOOK_SECRET", "TRYTON_KEY")
    secrets.write_text(f"WAYBILL_KEY={new_key()}\n" + "".join(f"{name}=\n" for name in names), "utf-8")
    out.print(f"Wrote {target} and {secrets} (with a fresh WAYBILL_KEY; keep it out of version control).")
    out.print(f"Next: fill in {secrets}, then: set -a; . {secrets}; set +a; waybill check")


@click.command()
def check() -> None:
    """Read the configuration and print every mistake at once; exit code 0 when there is none."""
    try:
        found = settings.load()
        wrong = mistakes(found)
    except SettingsError as error:
        wrong = error.mistakes
    for line in wrong:
        out.print(line, style="red", markup=False, soft_wrap=True)
    if wrong:
        sys.exit(1)
    out.print(f"The configuration is right: {len(found.connections)} connections, {len(found.stores)} stores.")


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database's schema to the newest revision."""
    with database(loaded()) as found:
        engine = engine_for(found.database.url)
        migrate(engine)
        with engine.connect() as connection:
            out.print(f"The schema is at revision {revisions(connection)[0]}.")
        engine.dispose()


@click.command()
def systems() -> None:
    """Print every connector with its roles, API version and proof level."""
    table = Table("System", "Roles", "API version", "Proof", box=None)
    for name in connectors.systems():
        cls = connectors.connector_class(name)
        table.add_row(name, ", ".join(connectors.roles_of(cls)), getattr(cls, "API_VERSION", ""), cls.PROOF)
    out.print(table)


COMMANDS = (init, check, migrate_command, systems)
