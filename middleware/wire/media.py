"""Files at addresses that a source gave: only those of the source itself are fetched, below the connection's own address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from middleware.errors import Rejected
from middleware.ports import Blob


def fetch_own(request: Callable[..., Any], base_url: str, reference: str) -> Blob:
    """The file at an address, or at a path below the connection's address, asked for without credentials by `Http.request`. Raises
    `Rejected` for an address elsewhere (a foreign host would be called in the name of a record), and what that raises."""
    base = urlsplit(base_url)
    try:
        asked = urlsplit(reference)
        is_ours = not asked.netloc or (asked.scheme, asked.hostname, asked.port) == (base.scheme, base.hostname, base.port)
    except ValueError:
        raise Rejected("the reference is no address", field="media") from None
    root = base.path.rstrip("/")
    path = asked.path.removeprefix(root) if asked.netloc else asked.path
    if not is_ours or "@" in asked.netloc or not asked.path.startswith(f"{root}/" if asked.netloc else "/"):
        raise Rejected("the file lies elsewhere than the source itself", field="media")
    reply = request("GET", path + (f"?{asked.query}" if asked.query else ""), headers={"Accept": "*/*"})
    name = unquote(path.rpartition("/")[2])
    return Blob(name, reply.body, reply.headers.get("content-type", "").partition(";")[0].strip())
