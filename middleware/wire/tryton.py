"""Tryton's REST interface: searches and writes of models in a context, values packed as it wants them, its refusals in plain words.

https://docs.tryton.org/latest/server/topics/user_application.html (application "rest")
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from middleware.errors import CallError, Rejected

Request = Callable[..., Any]
"""`Http.request`, whose answer is a `Reply`."""


class Rest:
    """The models of one database, as the user of an application's key sees them."""

    def __init__(self, request: Request, key: str, context: Mapping[str, Any]) -> None:
        """`context` is that of every call; without a company in it Tryton refuses most of them."""
        self._request = request
        self._key = key
        self._context = context

    def search(
        self,
        model: str,
        domain: list[Any],
        fields: Sequence[str],
        *,
        order: list[list[str]] | None = None,
        size: int = 0,
        context: Mapping[str, Any] | None = None,
        language: str = "en",
    ) -> list[dict[str, Any]]:
        """The records of a domain, `size` of them (0: all). Raises what `Http.request` raises."""
        params = [("d", packed(domain))]
        params += [("o", packed(order))] if order else []
        params += [("s", str(size))] if size else []
        found: list[dict[str, Any]] = self.call("GET", model, fields=fields or ("id",), params=params, context=context, language=language)
        return found

    def read(self, model: str, domain: list[Any], fields: Sequence[str], **how: Any) -> list[dict[str, Any]]:
        """`search` by id. Raises `Rejected` too, for an answer that is no list of records with these fields: Tryton leaves out what its
        user may not see."""
        found = self.search(model, domain, fields, order=[["id", "ASC"]], **how)
        return _checked(found, model, {name.partition(".")[0] for name in fields})

    def call(
        self,
        method: str,
        path: str,
        *,
        fields: Sequence[str] = ("id",),
        params: Sequence[tuple[str, str]] = (),
        body: dict[str, Any] | None = None,
        safe: bool | None = None,
        context: Mapping[str, Any] | None = None,
        language: str = "en",
    ) -> Any:
        """The answer's JSON; `context` is added to that of every call. Raises what `Http.request` raises."""
        headers = {
            "Authorization": f"Bearer {self._key}",
            "X-Tryton-Context": packed({**self._context, **(context or {})}),
            "Accept-Language": language,
        }
        query = [("f", name) for name in fields] + list(params)
        reply = self._request(method, f"/rest/model/{path}", params=query, json=body, headers=headers, safe=safe, explain=explain)
        return reply.json()


def _checked(found: Any, model: str, names: set[str]) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(one, dict) and isinstance(one.get("id"), int) for one in found):
        raise Rejected("the answer is no list of records", field=model)
    missing = sorted(name for name in names if any(name not in one for one in found))
    if missing:
        raise Rejected(f"Tryton does not show this field to the user: {missing[0]}", field=f"{model}.{missing[0]}")
    return found


def explain(reply: Any) -> tuple[str, str]:
    """Tryton's own words of a refusal without the values in them, and the label of the field at fault, if it names one."""
    try:
        message = str(reply.json()["message"])
    except (KeyError, TypeError, CallError):
        return "", ""
    field = re.search(r'for field "([^"]+)"', message)
    plain = re.sub(r'\b(value|record|on) "(?:[^"]|"(?!\W))*"', r'\1 "…"', message)
    return plain[:200], field[1] if field else ""


def packed(value: Any) -> str:
    """A domain, an order or a context as a header or a parameter carries it."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
