"""waybill verify: judge one recorded request, at two in the morning."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from sqlalchemy import text

from middleware import proving
from middleware.commands import loaded, opened, out
from middleware.connectors import connector_class, systems
from middleware.connectors._http import Http
from middleware.errors import Refused, SettingsError
from middleware.payments import selftest
from middleware.ports import Inbound
from middleware.secret import Secret
from middleware.settings import Connection, resolve_secret

_UNUSED = timedelta(days=3)
"""Providers send events again for days with the secret that was valid at first: shorter would call one dead that is not."""
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("system", required=False)
@click.option("--self-test", is_flag=True, help="Send good and bad requests to the door of every configured connection instead.")
@click.option("--headers", type=_FILE, help="JSON object of the request's headers.")
@click.option("--body", type=_FILE, help="The raw body, byte for byte.")
@click.option("--secret", "secrets", multiple=True, help="VALUE, env:NAME or file:PATH; several are tried in turn.")
@click.option("--url", default="", help="The URL that the sender called, where it is signed.")
@click.option("--now", type=int, help="Unix time of the receipt (default: now).")
@click.option("--live/--test", default=None, help="Which environment the connection belongs to (default: whichever the event says).")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the connection.")
def verify(
    system: str | None,
    self_test: bool,
    headers: Path | None,
    body: Path | None,
    secrets: tuple[str, ...],
    url: str,
    now: int | None,
    live: bool | None,
    options: tuple[str, ...],
) -> None:
    """Judge one recorded request of SYSTEM (with --headers, --body and --secret): prints *verified* or *refused: why*; exit code 0 or 1."""
    if self_test:
        sys.exit(_self_test())
    if system is None or headers is None or body is None or not secrets:
        raise click.UsageError("expected SYSTEM with --headers, --body and --secret, or --self-test")
    received = datetime.fromtimestamp(now, UTC) if now is not None else datetime.now(UTC)
    request = Inbound(_headers(headers), body.read_bytes(), url, received)
    environments = (live,) if live is not None else (False, True)
    why = ""
    for environment in environments:
        connector = _connector(system, secrets, options, live=environment)
        try:
            deliveries = connector.read(request)
        except Refused as error:
            why = str(error)
            continue
        out.print(
            f"verified: {len(deliveries)} deliveries with secret {deliveries[0].secret + 1} of {len(secrets)}" if deliveries else "verified"
        )
        for delivery in deliveries:
            out.print(f"  {delivery.delivery_id}  {delivery.topic}  {delivery.subject}", markup=False)
        return
    out.print(f"refused: {why}", markup=False)
    sys.exit(1)


def _self_test() -> int:
    """0 when every door does right, 1 when one does not."""
    configured, wrong = loaded(), 0
    for connection in configured.connections.values():
        if not hasattr(connector_class(connection.system), "read"):
            continue
        found = selftest.check(connection, datetime.now(UTC))
        if not found:
            out.print(f"{connection.name}: cannot be tested from here: it has no secret, or only the provider can sign", markup=False)
        for one in found:
            wrong += not one.holds
            out.print(f"{connection.name}: {one.what}: {one.said}{'' if one.holds else '  WRONG'}", markup=False)
    return 1 if wrong else 0


@click.command()
@click.argument("connection")
@click.option("--payment", default="", help="The provider's id of a payment to look at.")
def prove(connection: str, payment: str) -> None:
    """Try a connection end to end with its own keys, as far as that changes nothing over there; exit code 1 when something fails."""
    failed = 0
    with opened() as runtime:
        if connection not in runtime.settings.connections:
            raise SettingsError([f"{connection}: no connection is called so; known: {', '.join(runtime.settings.connections)}"])
        for step in proving.prove(runtime, connection, payment):
            word = {True: "works", False: "FAILS", None: "not tried"}[step.worked]
            failed += step.worked is False
            out.print(f"{step.role}: {word}: {step.said}", markup=False)
    sys.exit(1 if failed else 0)


@click.command("secrets")
def secrets_command() -> None:
    """The secrets that verify webhooks: until when each is valid, how often and when it was last used, and which is dead."""
    table = Table("Connection", "Secret", "Valid from", "Valid until", "Uses", "Last used (UTC)", "")
    with opened() as runtime, runtime.engine.connect() as database:
        uses = {(row.connection, row.source): row for row in database.execute(text("SELECT * FROM secret_uses"))}
        for connection in runtime.settings.connections.values():
            last = max((row.last_at for (name, _), row in uses.items() if name == connection.name), default=None)
            for secret in connection.secrets:
                row = uses.get((connection.name, secret.source))
                valid = [f"{one:%Y-%m-%d %H:%M}" if one else "" for one in (secret.not_before, secret.not_after)]
                used = (str(row.uses), f"{row.last_at:%Y-%m-%d %H:%M}") if row else ("0", "never")
                table.add_row(connection.name, secret.source, *valid, *used, _life(secret, row, last, runtime.now()))
    out.print(table)


def _life(secret: Secret, row: Any, last: datetime | None, now: datetime) -> str:
    """What may be done with a secret: one that nobody uses while another is used may be removed."""
    if not secret.is_valid(now):
        return "not valid now"
    if last is None:
        return "nothing was verified yet"
    if row is None or last - row.last_at > _UNUSED:
        return "dead: another one is used; it may be removed"
    return "in use"


def _connector(system: str, secrets: tuple[str, ...], options: tuple[str, ...], *, live: bool) -> Any:
    if system not in systems() or not hasattr(connector_class(system), "read"):
        known = ", ".join(name for name in systems() if hasattr(connector_class(name), "read"))
        raise click.UsageError(f"no system called {system!r} receives webhooks; known: {known}")
    cls = connector_class(system)
    given = dict(option.partition("=")[::2] for option in options)
    unknown = set(given) - set(cls.OPTIONS)
    if unknown:
        raise click.UsageError(f"unknown option {', '.join(sorted(unknown))}; known: {', '.join(cls.OPTIONS)}")
    typed = {name: _typed(name, value, cls.OPTIONS[name][0]) for name, value in given.items()}
    connection = Connection("verify", system, secrets=tuple(map(_secret, secrets)), options=typed, live=live)
    try:
        return cls(connection, Http(connection))
    except ValueError as error:
        raise SettingsError([str(error)]) from None


def _headers(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError:
        raise click.UsageError(f"{file}: expected a JSON object of headers") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{file}: expected a JSON object of headers")
    return {str(name).lower(): str(value) for name, value in found.items()}


def _secret(text: str) -> Secret:
    if not text.startswith(("env:", "file:")):
        return Secret("--secret", text)
    try:
        return resolve_secret(text)
    except ValueError as error:
        raise SettingsError([f"--secret: {error}"]) from None


def _typed(name: str, value: str, kind: type) -> Any:
    if kind is str:
        return value
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise click.UsageError(f"option {name}: expected {kind.__name__} as JSON, found {value!r}")
    return found


COMMANDS = (verify, secrets_command, prove)
