"""One request to an ASGI application, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from middleware.web.asgi import WebhookLayer

Told = tuple[int, list[tuple[str, str]], bytes]


async def request(
    layer: WebhookLayer, method: str, path: str, headers: Mapping[str, str], parts: Sequence[bytes], *, query: str = "", gone: bool = False
) -> Told:
    """Status, headers and body of the answer. The body comes in `parts`; with `gone` the sender leaves after them."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages[-1]["more_body"] = gone
    coming = iter([*messages, {"type": "http.disconnect"}])
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(coming)

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "scheme": "http",
        "client": ("127.0.0.1", 9),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    await layer(scope, receive, send)
    start, body = said
    return start["status"], [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]], body["body"]
