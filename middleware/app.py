"""The web application: Flask, and under it the thin layer that answers webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from middleware.runtime import Runtime
from middleware.web import console, health, webhooks

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def create_app(runtime: Runtime) -> Flask:
    """The Flask application with every route."""
    app = Flask(
        "middleware", root_path=console.ROOT, template_folder="templates", static_folder="static", static_url_path="/console/static"
    )
    app.config["MAX_CONTENT_LENGTH"] = runtime.settings.web.max_body
    app.config.update(SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_SECURE=runtime.settings.web.public_url.startswith("https://"))
    app.secret_key = console.cookie_key(runtime)
    app.register_blueprint(webhooks.blueprint(runtime))
    app.register_blueprint(health.blueprint(runtime))
    app.register_blueprint(console.blueprint(runtime))
    if runtime.settings.web.thin_layer:
        app.wsgi_app = webhooks.WebhookLayer(app.wsgi_app, runtime)  # type: ignore[method-assign]
    return app
