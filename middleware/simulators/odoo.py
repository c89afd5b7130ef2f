"""A stand-in for Odoo's external API: JSON-2 with its statuses, JSON-RPC with its errors in HTTP 200, over a few models.

https://www.odoo.com/documentation/19.0/developer/reference/external_api.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from middleware.simulators._server import Simulator, reply, route
from middleware.simulators.odoo_models import Models

_ROUTES = Map(
    [
        Rule("/json/2/<model>/<method>", endpoint="call", methods=["POST"]),
        Rule("/jsonrpc", endpoint="call_rpc", methods=["POST"]),
    ]
)
_ARGUMENTS = {"domain", "fields", "offset", "limit", "order", "context", "ids"}


class OdooError(Exception):
    """An exception over there: its name, what it says, and the HTTP status of JSON-2."""

    def __init__(self, name: str, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.name, self.status = name, status


class OdooSimulator(Simulator):
    """`models` is what tests change; `clock` tells aware UTC. `fails` are raised by the next calls of a method, one each."""

    name = "odoo"
    database = "shop"
    user = ("feeds@shop.example", "api-key")

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.models = Models(clock)
        self.fails: list[OdooError] = []
        self.calls: list[str] = []

    def answer(self, request: Request) -> Response:
        return route(_ROUTES, self, request)

    def refusal(self, error: HTTPException) -> Response:
        return _worded(OdooError(f"werkzeug.exceptions.{type(error).__name__}", str(error.description), error.code or 500))

    def call(self, request: Request, model: str, method: str) -> Response:
        """JSON-2: only named arguments, the key as a bearer token."""
        if request.headers.get("Authorization") != f"bearer {self.user[1]}":
            return _worded(OdooError("werkzeug.exceptions.Unauthorized", "Invalid apikey", 401))
        if request.headers.get("X-Odoo-Database", self.database) != self.database:
            return _worded(OdooError("werkzeug.exceptions.NotFound", "no such database", 404))
        try:
            return reply(self._executed(model, method, request.get_json(force=True)))
        except OdooError as error:
            return _worded(error)

    def call_rpc(self, request: Request) -> Response:
        """JSON-RPC: every answer is HTTP 200."""
        params = request.get_json(force=True)["params"]
        try:
            result = self._rpc(params["service"], params["method"], params["args"])
        except OdooError as error:
            data = {"name": error.name, "message": str(error), "arguments": [str(error)], "debug": "Traceback (most recent call last):"}
            return reply({"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo Server Error", "data": data}})
        return reply({"jsonrpc": "2.0", "id": 1, "result": result})

    def _rpc(self, service: str, method: str, args: list[Any]) -> Any:
        if (service, method) == ("common", "authenticate"):
            return 2 if tuple(args[:3]) == (self.database, *self.user) else False
        database, user, key, model, name, positional, named = args
        if (database, user, key) != (self.database, 2, self.user[1]):
            raise OdooError("odoo.exceptions.AccessDenied", "Access Denied")
        return self._executed(model, name, {**dict(zip(("domain", "fields"), positional, strict=False)), **named})

    def _executed(self, model: str, method: str, asked: dict[str, Any]) -> Any:
        self.calls.append(model)
        if self.fails:
            raise self.fails.pop(0)
        if model not in self.models.rows or method != "search_read":
            raise OdooError("werkzeug.exceptions.NotFound", f"the model {model!r} does not exist", 404)
        if asked.keys() - _ARGUMENTS or asked.get("order") != "id":
            raise OdooError("werkzeug.exceptions.UnprocessableEntity", "got an unexpected keyword argument", 422)
        try:
            return self.models.search_read(model, asked)
        except KeyError as error:
            raise OdooError("builtins.ValueError", f"Invalid field {error} on {model!r}") from error


def _worded(error: OdooError) -> Response:
    return reply({"name": error.name, "message": str(error), "arguments": [str(error)], "context": {}, "debug": ""}, error.status)
