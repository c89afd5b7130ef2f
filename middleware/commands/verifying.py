"""waybill verify: judge one recorded request, at two in the morning."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from middleware.commands import out
from middleware.connectors import connector_class, systems
from middleware.connectors._http import Http
from middleware.errors import Refused, SettingsError
from middleware.ports import Inbound
from middleware.secret import Secret
from middleware.settings import Connection, resolve_secret

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("system")
@click.option("--headers", type=_FILE, required=True, help="JSON object of the request's headers.")
@click.option("--body", type=_FILE, required=True, help="The raw body, byte for byte.")
@click.option("--secret", "secrets", multiple=True, required=True, help="VALUE, env:NAME or file:PATH; several are tried in turn.")
@click.option("--url", default="", help="The URL that the sender called, where it is signed.")
@click.option("--now", type=int, help="Unix time of the receipt (default: now).")
@click.option("--live/--test", default=None, help="Which environment the connection belongs to (default: whichever the event says).")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the connection.")
def verify(
    system: str, headers: Path, body: Path, secrets: tuple[str, ...], url: str, now: int | None, live: bool | None, options: tuple[str, ...]
) -> None:
    """Judge one recorded request: prints *verified* or *refused: why*; exit code 0 or 1."""
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


COMMANDS = (verify,)
