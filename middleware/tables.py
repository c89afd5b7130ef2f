"""Configuration tables to frozen dataclasses: merged from several sources, every mistake collected with its source."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from middleware.secret import Secret, resolve

Choices = Mapping[tuple[str, ...], tuple[str, ...]]
"""What a key may be, by its path or by its last name."""


class TableReader:
    """Turns merged tables into dataclasses, noting each mistake with its file, its key and what is expected, and going on."""

    def __init__(self, environ: Mapping[str, str], choices: Choices) -> None:
        self.mistakes: list[str] = []
        self.merged: dict[str, Any] = {}
        self._origin: dict[tuple[str, ...], str] = {}
        self._environ = environ
        self._choices = choices

    def read(self, file: Path) -> None:
        """Lay a TOML file over what was read before; a missing file is none."""
        if not file.is_file():
            return
        try:
            self.lay(tomllib.loads(file.read_text("utf-8")), str(file))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.mistakes.append(f"{file}: not readable as TOML: {error}")

    def lay(self, table: Mapping[str, Any], source: str) -> None:
        """Lay a table over what was read before; `source` is named in its mistakes."""
        self._merge(self.merged, table, source, ())

    def _merge(self, into: dict[str, Any], new: Mapping[str, Any], source: str, at: tuple[str, ...]) -> None:
        for key, value in new.items():
            here = (*at, key)
            self._origin[here] = source
            if not isinstance(value, dict):
                into[key] = value
                continue
            if not isinstance(into.get(key), dict):
                into[key] = {}
            self._merge(into[key], value, source, here)

    def named(self, table: Any, at: str, cls: type[Any]) -> dict[str, Any]:
        """`[at.<name>]` tables to dataclasses by their names."""
        if not isinstance(table, dict):
            self.mistake((at,), f"expected a table of [{at}.<name>]")
            return {}
        found = {}
        for name, body in table.items():
            if not isinstance(body, dict):
                self.mistake((at, name), f"expected a table [{at}.{name}]")
                continue
            thing = self.fill(cls, {**body, "name": name}, (at, name))
            if thing is not None:
                found[name] = thing
        return found

    def fill(self, cls: type[Any], table: Mapping[str, Any], at: tuple[str, ...]) -> Any:
        """One table to a dataclass, or None when there was a mistake in it."""
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls)}
        before = len(self.mistakes)
        values: dict[str, Any] = {}
        for key, raw in table.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                self.mistake((*at, key), "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"))
                continue
            values[key] = self._value(raw, hints[key], (*at, key))
        for name, spec in known.items():
            if name not in values and is_required(spec):
                self.mistake((*at, name), f"missing; expected {_kind(hints[name])}")
        return cls(**values) if len(self.mistakes) == before else None

    def _value(self, raw: Any, kind: Any, at: tuple[str, ...]) -> Any:
        if isinstance(raw, dict) and isinstance(kind, type) and kind not in (dict, Mapping):
            return self.fill(kind, raw, at)
        convert = _CONVERT.get(_kind(kind))
        if convert is not None:
            try:
                value = convert(self, raw, at)
            except (TypeError, ValueError):
                self.mistake(at, f"expected {_kind(kind)}, found {type(raw).__name__}")
                return None
            allowed = self._choices.get(at) or self._choices.get(at[-1:])
            if allowed and value not in allowed:
                self.mistake(at, f"expected one of {', '.join(allowed)}, found {raw!r}")
            return value
        return raw

    def secret(self, raw: Any, at: tuple[str, ...]) -> Secret | None:
        """A reference to its secret, or None with a mistake; `{ ref = "env:NAME", not_after = … }` is valid for a while."""
        if isinstance(raw, dict):
            return self._dated(raw, at)
        if not isinstance(raw, str) or not raw.startswith(("env:", "file:")):
            self.mistake(at, "expected a reference, env:NAME or file:PATH; a secret is never written in the file itself")
            return None
        try:
            return resolve(raw, self._environ)
        except ValueError as error:
            self.mistake(at, str(error))
            return None

    def _dated(self, raw: Mapping[str, Any], at: tuple[str, ...]) -> Secret | None:
        dates = {name: raw.get(name) for name in ("not_before", "not_after")}
        wrong = [name for name, value in dates.items() if not (value is None or (isinstance(value, datetime) and value.tzinfo))]
        if wrong or set(raw) - {"ref", *dates}:
            self.mistake(at, 'expected { ref = "env:NAME", not_before = …, not_after = … } with times that have their zone')
            return None
        found = self.secret(raw.get("ref"), at)
        return replace(found, not_before=dates["not_before"], not_after=dates["not_after"]) if found else None

    def mistake(self, at: tuple[str, ...], text: str) -> None:
        """Note a mistake at a key."""
        source = next((self._origin[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self._origin), "configuration")
        self.mistakes.append(f"{source}: {'.'.join(at)}: {text}")


def is_required(spec: Field[Any]) -> bool:
    """Whether a dataclass field has no default."""
    return spec.default is MISSING and spec.default_factory is MISSING


def _kind(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint).replace("middleware.secret.", "")


def _integer(reader: TableReader, raw: Any, at: tuple[str, ...]) -> int:
    if isinstance(raw, bool | float):
        raise TypeError
    return int(raw)


def _number(reader: TableReader, raw: Any, at: tuple[str, ...]) -> float:
    if isinstance(raw, bool):
        raise TypeError
    return float(raw)


def _truth(reader: TableReader, raw: Any, at: tuple[str, ...]) -> bool:
    if not isinstance(raw, bool):
        raise TypeError
    return raw


def _text(reader: TableReader, raw: Any, at: tuple[str, ...]) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _texts(reader: TableReader, raw: Any, at: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise TypeError
    return tuple(_text(reader, item, at) for item in raw)


def _secrets(reader: TableReader, raw: Any, at: tuple[str, ...]) -> tuple[Secret, ...]:
    if not isinstance(raw, list):
        raise TypeError
    return tuple(s for s in (reader.secret(item, at) for item in raw) if s)


def _secret_table(reader: TableReader, raw: Any, at: tuple[str, ...]) -> Mapping[str, Secret]:
    if not isinstance(raw, dict):
        raise TypeError
    found = {key: reader.secret(value, (*at, key)) for key, value in raw.items()}
    return MappingProxyType({key: value for key, value in found.items() if value})


_CONVERT: dict[str, Any] = {
    "int": _integer,
    "float": _number,
    "bool": _truth,
    "str": _text,
    "Path": lambda reader, raw, at: Path(_text(reader, raw, at)),
    "tuple[str, ...]": _texts,
    "tuple[Secret, ...]": _secrets,
    "Secret | None": lambda reader, raw, at: reader.secret(raw, at),
    "collections.abc.Mapping[str, Secret]": _secret_table,
}
