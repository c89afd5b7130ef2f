"""The elements of an XML document as a stream: found chunk by chunk, begun again at any byte, without a document type; no I/O.

A document type is refused, and with it every entity but XML's own five, so where a reader stands is told by the names of the
elements that are open: https://www.w3.org/TR/xml/#sec-prolog-dtd.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

LARGEST_RECORD = 32 * 1024 * 1024
"""Bytes of a record beyond which its file is refused: most often a quote or a tag that is never closed."""
_DEEPEST = 100
_DECLARED = re.compile(rb"<\?xml[^>]*\sencoding\s*=\s*[\"']([A-Za-z][\w.-]*)")
_BROKEN_BYTE = "\x7f"


class Broken(ValueError):
    """A file whose structure cannot be trusted; the text names lines and columns, never a value."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element where it stands: `start` is its first byte, `ancestors` the elements that are open there."""

    start: int
    ancestors: tuple[str, ...]
    element: ElementTree.Element

    @property
    def raw(self) -> bytes:
        """The element serialised in UTF-8, without what follows it."""
        return ElementTree.tostring(self.element, "unicode").encode()


def encoding_of(head: bytes) -> str:
    """The encoding of a document from its first bytes: the mark of UTF-16, else what it declares, else UTF-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16be"
    declared = _DECLARED.search(head)
    return declared[1].decode().lower() if declared else "utf-8"


def check(chunks: Iterable[bytes], encoding: str) -> None:
    """Read a document to its end; raises `Broken` when that fails."""
    for _ in _parsed(_parser(None), chunks, encoding):
        pass


def found(chunks: Iterable[bytes], tag: str, encoding: str, start: int = 0, ancestors: tuple[str, ...] = ()) -> Iterator[Element]:
    """Every outermost element called `tag`, whatever its prefix, of a document whose `chunks` begin at byte `start`, inside
    `ancestors`. Raises `Broken`."""
    parser = _parser(encoding if start else None)
    opened = "".join(f"<{name}>" for name in ancestors).encode(encoding)
    reader = _Reader(parser, tag, start - len(opened) if start else 0)
    for _ in _parsed(parser, chain((opened,), chunks) if start else chunks, encoding):
        yield from reader.take()
    yield from reader.take()


def tree(raw: bytes) -> ElementTree.Element:
    """One serialised element; raises `Broken`."""
    parser, builder = _parser("utf-8"), ElementTree.TreeBuilder()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = builder.start, builder.end, builder.data
    for _ in _parsed(parser, (raw,), "utf-8"):
        pass
    return builder.close()


def plain(element: ElementTree.Element) -> dict[str, Any]:
    """A record's element as a dict: attributes are "@name", repeated children lists, a text beside either is "#text"; prefixes of
    namespaces are dropped."""
    value = _plain(element)
    return value if isinstance(value, dict) else {"#text": value} if value else {}


def _plain(element: ElementTree.Element) -> Any:
    value: dict[str, Any] = {f"@{_local(name)}": text for name, text in element.items() if not name.startswith("xmlns")}
    for child in element:
        name, inner = _local(child.tag), _plain(child)
        if name not in value:
            value[name] = inner
        elif isinstance(value[name], list):
            value[name].append(inner)
        else:
            value[name] = [value[name], inner]
    text = (element.text or "") + "".join(child.tail or "" for child in element)
    if not value:
        return text
    return {**value, "#text": text} if text.strip() else value


class _Reader:
    def __init__(self, parser: Any, tag: str, base: int) -> None:
        self._parser = parser
        self._tag = tag
        self._base = base
        self._open: list[str] = []
        self._builder: ElementTree.TreeBuilder | None = None
        self._depth = 0
        self._start = 0
        self._found: list[Element] = []
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = self._begin, self._end, self._text

    def take(self) -> list[Element]:
        """What was completed since the last time."""
        taken, self._found = self._found, []
        if self._builder is not None:
            bounded(self._parser.CurrentByteIndex + self._base - self._start)
        return taken

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        if self._builder is None:
            if _local(name) != self._tag:
                self._open.append(name)
                return
            self._builder, self._depth, self._start = ElementTree.TreeBuilder(), 0, self._parser.CurrentByteIndex + self._base
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Broken(f"has elements more than {_DEEPEST} deep")
        self._builder.start(name, {key: _shown(text) for key, text in attributes.items()})

    def _end(self, name: str) -> None:
        if self._builder is None:
            self._open.pop()
            return
        self._builder.end(name)
        self._depth -= 1
        if not self._depth:
            self._found.append(Element(self._start, tuple(self._open), self._builder.close()))
            self._builder = None

    def _text(self, text: str) -> None:
        if self._builder is not None:
            self._builder.data(_shown(text))


def bounded(size: int) -> None:
    """Refuse a record of so many bytes when they are too many; raises `Broken`."""
    if size > LARGEST_RECORD:
        raise Broken(f"has a record of more than {LARGEST_RECORD >> 20} MB (a quote or a tag that is never closed?)")


def _parser(encoding: str | None) -> Any:
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    return parser


def _refuse_document_type(*_declared: Any) -> None:
    raise Broken("has a document type, which is refused")


def _parsed(parser: Any, chunks: Iterable[bytes], encoding: str) -> Iterator[None]:
    """Feed the parser; one step a chunk. What is no UTF-8 becomes as many bytes of a mark, so that places stay right."""
    mend = codecs.getincrementaldecoder("utf-8")("waybill.mark") if encoding in ("utf-8", "utf8") else None
    fed = 0
    try:
        for chunk in chunks:
            parser.Parse(mend.decode(chunk).encode() if mend else chunk)
            fed += len(chunk)
            bounded(fed - parser.CurrentByteIndex)
            yield
        parser.Parse(mend.decode(b"", True).encode() if mend else b"", True)
    except expat.ExpatError as error:
        raise Broken(f"is no whole XML: {expat.ErrorString(error.code)}, line {error.lineno}") from None
    except Broken:
        raise
    except (LookupError, ValueError):
        raise Broken("is in an encoding that cannot be read") from None


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _BROKEN_BYTE * (error.end - error.start), error.end


codecs.register_error("waybill.mark", _mark)


def _shown(text: str) -> str:
    return text.replace(_BROKEN_BYTE, "\ufffd")


def _local(name: str) -> str:
    return name.rpartition(":")[2]
