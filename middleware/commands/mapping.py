"""waybill mapping: the merchant's tables as documentation, their mistakes, and what they do to a sample; attributes that drifted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table as Grid

from mappings.attributes import search
from mappings.rules import Refused, Rule
from mappings.tables import Table, apply, made_by
from mappings.values import value_of
from mappings.wanted import Reject
from middleware.commands import loaded, opened, out
from middleware.errors import SettingsError, Unreadable
from middleware.feeds import registry, shapes
from middleware.feeds.feed import Feed
from middleware.runtime import Runtime


@click.group()
def mapping() -> None:
    """The mapping tables: which attribute of a source becomes which field of the shop."""


@mapping.command("show")
@click.argument("name", required=False)
def show(name: str | None) -> None:
    """Print one table, or all, as documentation."""
    tables = registry.load(loaded())
    for table in _named(list(tables.values()), name):
        out.print(f"\n[bold]{table.name}[/]: {escape(_about(table))}")
        grid = Grid("Field", "Of", "From", "Type", "Rules", box=None)
        for rule in table.rules:
            grid.add_row(rule.target, rule.of, escape(rule.source), rule.kind, escape("; ".join(_notes(rule))))
        out.print(grid)
        if table.price_lists:
            out.print(f"Price lists and entries from {escape(table.price_lists.source)}", markup=False)


@mapping.command("check")
@click.option("--online", is_flag=True, help="Also ask the shops which of the fields they have.")
def check(online: bool) -> None:
    """Find mistakes in the tables; exit code 1 when there are some."""
    configured = loaded()  # raises with every mistake
    tables = list(registry.load(configured).values())
    lines: list[str] = []
    if online:
        with opened() as runtime:
            lines = registry.missing_fields(runtime)
    for line in lines:
        out.print(f"the shop lacks {line}", markup=False)
    out.print(f"{len(tables)} tables, {sum(len(table.rules) for table in tables)} fields: {'fine' if not lines else 'see above'}")
    sys.exit(1 if lines else 0)


@mapping.command("owners")
@click.argument("shop", required=False)
def owners(shop: str | None) -> None:
    """The register: which table owns which field."""
    grid = Grid("Shop", "Of", "Bundle", "Field", "Language", "Owner", box=None)
    for table in registry.load(loaded()).values():
        for of, bundle, name, language in dict.fromkeys(made_by(table)) if shop in (None, table.shop) else ():
            grid.add_row(table.shop, of, bundle, name, language, f"{table.name} ({table.connection}/{table.kind})")
    out.print(grid)


@mapping.command("try")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def try_one(name: str, file: Path) -> None:
    """Show what one record (FILE, as the source gives it) would become with table NAME, field by field; exit code 1: refused."""
    with opened() as runtime:
        [table] = _named([feed.table for feed in runtime.feeds.values()], name)
        feed = runtime.feeds[table.connection, table.kind]
        try:
            record = feed.decoder.decode_record(feed.kind, file.read_bytes().strip())
        except Unreadable as error:
            out.print(f"the record cannot be read: {error}", markup=False)
            sys.exit(1)
        _print_rules(table, record)
        sys.exit(_print_result(table, record))


@mapping.command("shape")
@click.argument("connection")
@click.argument("kind")
def shape(connection: str, kind: str) -> None:
    """What a feed's attributes look like, and which of them drifted."""
    with opened() as runtime, runtime.engine.connect() as database:
        records, fields, drifted = shapes.shape(database, _feed(runtime, connection, kind))
    grid = Grid("Attribute", "Seen as", "Drifted", title=f"{records} changed records", box=None)
    for name, counts in fields.items():
        total = sum(counts.values())
        shown = ", ".join(f"{of} {count / total:.0%}" for of, count in sorted(counts.items(), key=lambda one: -one[1]))
        grid.add_row(escape(name), shown, escape(drifted.get(name, "")))
    out.print(grid)


@mapping.command("accept")
@click.argument("connection")
@click.argument("kind")
@click.argument("attributes", nargs=-1)
def accept(connection: str, kind: str, attributes: tuple[str, ...]) -> None:
    """Take drifted ATTRIBUTES (none named: all of the feed) as they are now; their fields are written again."""
    with opened() as runtime, runtime.engine.begin() as database:
        accepted = shapes.accept(database, _feed(runtime, connection, kind), attributes)
    out.print(f"accepted: {', '.join(accepted) or 'nothing drifted'}", markup=False)


def _feed(runtime: Runtime, connection: str, kind: str) -> Feed:
    feed = runtime.feeds.get((connection, kind))
    if feed is None:
        raise SettingsError([f"{connection} {kind}: no mapping table is for it; known: {', '.join(f'{c} {k}' for c, k in runtime.feeds)}"])
    return feed


def _named(tables: list[Table], name: str | None) -> list[Table]:
    found = [table for table in tables if name in (None, table.name)]
    if not found and name is not None:
        raise SettingsError([f"{name}: no mapping table is called so; known: {', '.join(table.name for table in tables) or 'none'}"])
    return found


def _about(table: Table) -> str:
    makes = "makes and changes" if table.makes else "changes"
    where = f", where {table.where}" if table.where else ""
    return f"{table.connection}/{table.kind} {makes} {table.of}s of {table.shop}, known by {table.key}{where}; gone: {table.on_gone}"


def _notes(rule: Rule) -> Iterator[str]:
    yield from (word for word, is_so in (("required", rule.required), ("many", rule.many), ("per locale", rule.localized)) if is_so)
    if rule.default is not None:
        yield f"default {rule.default!r}"
    if rule.options:
        yield "options " + ", ".join(f"{word} → {meaning}" for word, meaning in list(rule.options.items())[:8])
    if rule.currency:
        yield f"currency {rule.currency}"
    if rule.tax:
        yield f"tax {rule.tax.want}, the source says {rule.tax.included}, rate {rule.tax.rate}"
    if rule.rounding:
        yield f"rounded {rule.rounding}"
    if rule.unit:
        yield f"in {rule.unit}"
    if rule.refers:
        yield f"refers to {rule.refers}" + (", made with it" if rule.create else "")


def _print_rules(table: Table, record: Any) -> None:
    grid = Grid("Field", "From", "Found", "Becomes", box=None)
    for rule in table.rules:
        try:
            found = search(rule.source, record)
            becomes = "" if rule.refers or rule.localized or found is None else str(value_of(rule, found, record))
        except (Refused, KeyError) as error:
            becomes = f"refused: {error.reject}" if isinstance(error, Refused) else ""
            found = None if isinstance(error, Refused) else found
        grid.add_row(rule.target, escape(rule.source), escape(_short(found)), escape(_short(becomes)))
    out.print(grid)


def _print_result(table: Table, record: Any) -> int:
    result = apply(table, record)
    if isinstance(result, Reject):
        out.print(f"\nrefused: {result}", markup=False)
        return 1
    if result is None:
        out.print("\nleft out: not for this shop (where)")
        return 0
    for thing in result.things:
        out.print(f"\n{thing.name} ({thing.bundle})", markup=False)
        for name, value in thing.fields.items():
            out.print(f"  {name} = {_short(value)}", markup=False)
    return 0


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


COMMANDS = (mapping,)
