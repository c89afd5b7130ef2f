"""As much of GraphQL's language as a reader needs: fields with aliases and arguments, inline fragments, variables.

https://spec.graphql.org/October2021/#sec-Language
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'\.\.\.|\$?[_A-Za-z]\w*|"(?:[^"\\]|\\.)*"|-?\d+|[{}()\[\]:!]')
_WORDS = {"true": True, "false": False, "null": None}


class SyntaxFault(Exception):
    """The text is no query."""


@dataclass(frozen=True, slots=True)
class Field:
    """One selected field, answered under its `alias`."""

    alias: str
    name: str
    arguments: Mapping[str, Any]
    selected: tuple[Field | Fragment, ...]


@dataclass(frozen=True, slots=True)
class Fragment:
    """What is selected of objects of one type."""

    on: str
    selected: tuple[Field | Fragment, ...]


def parsed(text: str, variables: Mapping[str, Any]) -> tuple[Field | Fragment, ...]:
    """The fields of a query; an argument whose variable is not given is left out. Raises `SyntaxFault`."""
    if _TOKEN.sub("", text).strip(" \n\t,"):
        raise SyntaxFault("unexpected character")
    reader = _Reader(_TOKEN.findall(text), variables)
    try:
        reader.skip_head()
        return reader.selection()
    except (IndexError, ValueError) as error:
        raise SyntaxFault("unexpected end") from error


class _Reader:
    def __init__(self, tokens: list[str], variables: Mapping[str, Any]) -> None:
        self._tokens = tokens
        self._variables = variables
        self._at = 0

    def skip_head(self) -> None:
        self._at = self._tokens.index("{")

    def selection(self) -> tuple[Field | Fragment, ...]:
        found: list[Field | Fragment] = []
        self._expect("{")
        while self._tokens[self._at] != "}":
            found.append(self._one())
        self._expect("}")
        return tuple(found)

    def _one(self) -> Field | Fragment:
        name = self._next()
        if name == "...":
            self._expect("on")
            return Fragment(self._next(), self.selection())
        alias = name
        if self._tokens[self._at] == ":":
            self._expect(":")
            name = self._next()
        arguments = self._arguments() if self._tokens[self._at] == "(" else {}
        return Field(alias, name, arguments, self.selection() if self._tokens[self._at] == "{" else ())

    def _arguments(self) -> dict[str, Any]:
        found = {}
        self._expect("(")
        while self._tokens[self._at] != ")":
            name = self._next()
            self._expect(":")
            given = self._tokens[self._at]
            value = self._value()
            if not given.startswith("$") or given[1:] in self._variables:
                found[name] = value
        self._expect(")")
        return found

    def _value(self) -> Any:
        token = self._next()
        if token == "[":
            found = []
            while self._tokens[self._at] != "]":
                found.append(self._value())
            self._expect("]")
            return found
        if token.startswith("$"):
            return self._variables.get(token[1:])
        return _WORDS[token] if token in _WORDS else json.loads(token)

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise SyntaxFault(f"expected {token}")
