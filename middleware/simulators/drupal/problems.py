"""What goes wrong in a JSON:API request, worded and shaped as Drupal does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
}
_SECTIONS = {400: 1, 401: 2, 403: 4, 404: 5, 405: 6, 409: 10, 415: 16}


@dataclass(frozen=True, slots=True)
class Violation:
    """One value that validation refuses; `path` is the field path after `/data`."""

    detail: str
    path: str = ""


class Problem(Exception):
    """Ends a request with an error document. `pointer` names the place in the body, `info` replaces the link to the RFC."""

    def __init__(
        self, status: int, detail: str, *, pointer: str = "", info: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.pointer = pointer
        self.info = info
        self.headers = dict(headers or {})

    def errors(self, via: str) -> list[dict[str, Any]]:
        """The error objects; `via` is the URL that was asked."""
        links = {"via": {"href": via}}
        info = self.info if self.info is not None else _about(self.status)
        if info:
            links["info"] = {"href": info}
        error: dict[str, Any] = {**_head(self.status, self.detail), "links": links}
        if self.pointer:
            error["source"] = {"pointer": self.pointer}
        return [error]


class Invalid(Problem):
    """422 with every violation."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        super().__init__(422, "invalid")
        self.violations = tuple(violations)

    def errors(self, via: str) -> list[dict[str, Any]]:
        return [{**_head(422, v.detail), "source": {"pointer": f"/data{v.path}"}} for v in self.violations]


def _head(status: int, detail: str) -> dict[str, Any]:
    return {"title": _TITLES[status], "status": str(status), "detail": detail}


def _about(status: int) -> str:
    section = _SECTIONS.get(status)
    return f"https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html#sec10.4.{section}" if section else ""
