"""The parts of the documents that are generated from the code: `python -m tests.documents` writes them, a test keeps them equal.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_type_hints

from middleware import connectors, errors, ports, settings
from middleware.domain.transitions import TABLES
from middleware.errors import WaybillError
from middleware.settings import Connection, Settings, Store

ROOT = Path(__file__).parents[1]
_PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n" for line in lines)


def systems() -> str:
    """Every connector with its roles and its proof."""
    rows = []
    for name in connectors.systems():
        cls = connectors.connector_class(name)
        rows.append((f"`{name}`", ", ".join(f"`{role}`" for role in connectors.roles_of(cls)), cls.API_VERSION, cls.PROOF))
    return table(("System", "Roles", "API version", "Proved against"), rows)


def error_table() -> str:
    """Every error of ours: code, class, retryable, HTTP status."""
    rows = [
        (
            f"`{cls.code}`",
            f"`{cls.__name__}`",
            f"`{cls.error_class}`",
            "yes" if cls.retryable else "no",
            _status(cls),
            _burns(cls),
            _first_line(cls),
        )
        for cls in _tree(WaybillError)
    ]
    return table(("Code", "Error", "Class", "Retryable", "HTTP status", "Burns an attempt", "Meaning"), rows)


def _tree(cls: type[WaybillError]) -> Iterator[type[WaybillError]]:
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child)


def _status(cls: type[WaybillError]) -> str:
    """What an inbound caller sees; an outgoing call's error is never shown to one."""
    return "" if issubclass(cls, errors.CallError) else str(cls.status)


def _burns(cls: type[WaybillError]) -> str:
    return ("yes" if cls.burns_attempt else "no") if issubclass(cls, errors.CallError) else ""


def _first_line(cls: type[WaybillError]) -> str:
    """Its own docstring, else its line in the tree of the module's docstring."""
    if "__doc__" in vars(cls) and cls.__doc__:
        return " ".join(cls.__doc__.split())
    found = re.search(rf"{cls.__name__}\s+(.*)", errors.__doc__ or "")
    return found[1] if found else ""


def error_classes() -> str:
    """The classes, who mends them."""
    return "".join(f"* `{kind}`\n" for kind in errors.ErrorClass)


def states() -> str:
    """Every transition table."""
    parts = []
    for name, transitions in TABLES.items():
        rows = []
        for state in next(iter(transitions)).__class__:
            after = ", ".join(f"`{becomes}`" for becomes in sorted(transitions[state]))
            rows.append((f"`{state}`", after or "nothing: it is final"))
        parts.append(f"#### {name.replace('_', ' ')}\n\n" + table(("From", "may become"), rows))
    return "\n".join(parts)


def operations() -> str:
    """What may be asked of a system, and how a repeat is made harmless."""
    rows = []
    for operation in ports.OPERATIONS.values():
        able = [name for name in connectors.systems() if hasattr(connectors.connector_class(name), operation.name)]
        native = [name for name in able if operation.name in getattr(connectors.connector_class(name), "NATIVE_IDEMPOTENCY", ())]
        kind = (
            "repeating sets the same state"
            if operation.repeatable
            else f"looked up with `{operation.find}`, then made"
            if operation.find
            else ""
        )
        rows.append((f"`{operation.name}`", kind, ", ".join(f"`{n}`" for n in able), ", ".join(f"`{n}`" for n in native) or "none"))
    return table(("Operation", "After an unknown outcome", "Systems", "of these with native idempotency"), rows)


def configuration() -> str:
    """Every key of the configuration."""
    hints = get_type_hints(Settings)
    sections: list[tuple[str, type[Any]]] = [("", Settings)]
    sections += [(f"[{spec.name}]", hints[spec.name]) for spec in fields(Settings) if hasattr(hints[spec.name], "__dataclass_fields__")]
    sections += [("[connections.NAME]", Connection), ("[stores.NAME]", Store)]
    overrides = {path: name for name, path in settings.ENVIRONMENT.items()}
    parts = []
    for title, cls in sections:
        rows = []
        for spec in fields(cls):
            kind = get_type_hints(cls)[spec.name]
            if hasattr(kind, "__dataclass_fields__") and kind is not settings.Secret:
                continue
            if (spec.name in ("connections", "stores") and cls is Settings) or (spec.name == "name" and title.endswith(".NAME]")):
                continue
            path = (spec.name,) if cls is Settings else (title.strip("[]"), spec.name)
            rows.append((f"`{spec.name}`", _kind(kind), _default(spec), f"`{overrides[path]}`" if path in overrides else ""))
        text = " ".join((cls.__doc__ or "").split())
        parts.append(
            f"#### {f'`{title}`' if title else 'Top level'}\n\n{text}\n\n" + table(("Key", "Type", "Default", "Environment"), rows)
        )
    return "\n".join(parts)


def _kind(kind: Any) -> str:
    names: Mapping[str, str] = {
        "tuple[Secret, ...]": "list of secret references",
        "Secret | None": "secret reference",
        "Mapping[str, Secret]": "table of secret references",
        "Mapping[str, Any]": "table; see the system's options below",
        "Mapping[str, float]": "table of numbers",
        "tuple[str, ...]": "list of text",
    }
    simple = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}
    return simple[kind] if kind in simple else names[re.sub(r"[\w.]+\.(\w+)", r"\1", str(kind))]


def _default(spec: Field[Any]) -> str:
    if spec.default is MISSING:
        return "none" if spec.default_factory is not MISSING else "**required**"
    if spec.default in ("", None, ()):
        return "none"
    return f"`{str(spec.default).lower() if isinstance(spec.default, bool) else spec.default}`"


def options() -> str:
    """Every system's credentials and options."""
    parts = []
    for name in connectors.systems():
        cls = connectors.connector_class(name)
        rows = [(f"`credentials.{key}`", "secret reference", "", text) for key, text in cls.CREDENTIALS.items()]
        rows += [(f"`options.{key}`", kind.__name__, f"`{default!r}`", text) for key, (kind, default, text) in cls.OPTIONS.items()]
        parts.append(f"#### `{name}`\n\n" + (table(("Key", "Type", "Default", "Meaning"), rows) if rows else "No options.\n"))
    return "\n".join(parts)


PARTS: dict[str, Callable[[], str]] = {
    "systems": systems,
    "errors": error_table,
    "error-classes": error_classes,
    "states": states,
    "operations": operations,
    "configuration": configuration,
    "options": options,
}


def documents() -> list[Path]:
    """Every document that has a generated part."""
    return [file for file in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if _PART.search(file.read_text("utf-8"))]


def generated(file: Path) -> str:
    """The document as it should be."""
    return _PART.sub(lambda match: f"{match[1]}{PARTS[match['name']]()}{match[4]}", file.read_text("utf-8"))


if __name__ == "__main__":
    for document in documents():
        document.write_text(generated(document), "utf-8")
        sys.stdout.write(f"{document.relative_to(ROOT)}\n")
