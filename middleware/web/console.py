"""The console: a read-only list of orders and one order's timeline, behind a one-time link."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, session, url_for
from sqlalchemy import text

from middleware import timeline
from middleware.runtime import Runtime

ROOT = str(Path(__file__).parent)
_SESSION = timedelta(hours=12)


def one_time_link(runtime: Runtime, base_url: str, valid: timedelta = timedelta(minutes=15)) -> str:
    """A link that opens the console once; only its hash is stored."""
    token = secrets.token_urlsafe(32)
    with runtime.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO console_links (token_hash, expires_at) VALUES (:hash, :expires)"),
            {"hash": _hash(token), "expires": runtime.now() + valid},
        )
    return f"{base_url.rstrip('/')}/console/enter/{token}"


def cookie_key(runtime: Runtime) -> bytes:
    """The key that signs the session cookie: the configured one, else derived from the newest payload key."""
    secret = runtime.settings.console_secret or runtime.settings.keys[0]
    return hmac.digest(secret.reveal().encode(), b"waybill console cookie", "sha256")


def blueprint(runtime: Runtime) -> Blueprint:
    """The pages under /console/."""
    pages = Blueprint("console", __name__, url_prefix="/console")

    @pages.before_request
    def only_with_a_session() -> Response | None:
        if request.endpoint == "console.enter" or session.get("until", 0) > runtime.now().timestamp():
            return None
        return Response(render_template("locked.html"), 401)

    @pages.after_request
    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @pages.get("/enter/<token>")
    def enter(token: str) -> Any:
        if not _use(runtime, token):
            return Response(render_template("locked.html"), 401)
        session.clear()
        session["until"] = (runtime.now() + _SESSION).timestamp()
        return redirect(url_for("console.orders"))

    @pages.get("/")
    def orders() -> str:
        return render_template("orders.html", page=timeline.orders(runtime, _number("page", 1), request.args.get("find", "")))

    @pages.get("/orders/<int:order_id>")
    def order(order_id: int) -> str:
        found = timeline.order(runtime, order_id)
        if found is None:
            abort(404)
        return render_template("order.html", order=found)

    @pages.get("/orders/find/<reference>")
    def find(reference: str) -> Any:
        return redirect(_page_of(runtime, reference))

    return pages


def _page_of(runtime: Runtime, reference: str) -> str:
    """What a shop links to: an order by its number or the shop's own id; the list where that is not one order."""
    found = timeline.by_number(runtime, reference)
    if len(found) == 1:
        return url_for("console.order", order_id=found[0].summary.id)
    return url_for("console.orders", find=reference)


def _number(name: str, default: int) -> int:
    given = request.args.get(name, "")
    return max(1, int(given)) if given.isdigit() and len(given) < 7 else default


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _use(runtime: Runtime, token: str) -> bool:
    with runtime.engine.begin() as connection:
        used = connection.execute(
            text("UPDATE console_links SET used_at = :now WHERE token_hash = :hash AND used_at IS NULL AND expires_at > :now"),
            {"now": runtime.now(), "hash": _hash(token)},
        )
        return used.rowcount == 1
