"""Questions to Vendure's admin API: logged in by password or API key, its errors (most come with HTTP 200) as ours.

https://docs.vendure.io/guides/developer-guide/error-handling/ and
https://docs.vendure.io/reference/typescript-api/auth/auth-options
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from requests import PreparedRequest
from requests.auth import AuthBase

from middleware.errors import CallError, Rejected, Transient, Unauthorized
from middleware.settings import Connection
from middleware.wire.oauth2 import ClientCredentials

TOKEN_HEADER = "vendure-auth-token"  # noqa: S105 - a header's name
KEY_HEADER = "vendure-api-key"
CHANNEL_HEADER = "vendure-token"
SESSION = 3600.0
"""Seconds for which a session is used before another is begun; one that ended earlier is refused, and begun anew at once."""
_LOGIN = (
    "mutation($username:String!,$password:String!){login(username:$username,password:$password)"
    "{__typename ...on ErrorResult{errorCode message}}}"
)
_PERMANENT = frozenset(
    {
        "BAD_USER_INPUT",
        "CHANNEL_NOT_FOUND",
        "ENTITY_NOT_FOUND",
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "ILLEGAL_OPERATION",
        "NO_VALID_CHANNEL",
        "USER_INPUT_ERROR",
    }
)
"""Codes of errors that repeating does not mend."""
_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode


Request = Callable[..., Any]
"""`Http.request` of the connection; gives its `Reply`."""


class Questions:
    """The admin API of one connection."""

    def __init__(self, request: Request, connection: Connection, *, path: str, username: str) -> None:
        """`path` is where the admin API lies below `base_url`, `username` an administrator's identifier."""
        self._request, self._given, self._path, self._username = request, connection.credentials, path, username
        self._auth = ClientCredentials(self._login)

    def ask(self, query: str, variables: Mapping[str, Any], channel: str = "") -> Mapping[str, Any]:
        """The data of an answer that has no errors. `channel` is a channel's token, "" means the default channel. Raises what
        `Http.request` raises; `Unauthorized` also when a fresh session is refused."""
        headers = {CHANNEL_HEADER: channel} if channel else {}
        reply = self._post(query, variables, headers, self._credentials())
        try:
            return data_of(reply)
        except Unauthorized:
            if "api_key" in self._given:
                raise
        self._auth.forget()
        return data_of(self._post(query, variables, headers, self._credentials()))

    def _credentials(self) -> AuthBase:
        key = self._given.get("api_key")
        return _ApiKey(key.reveal()) if key else self._auth

    def _post(self, query: str, variables: Mapping[str, Any], headers: Mapping[str, str], auth: AuthBase | None) -> Any:
        body = {"query": query, "variables": variables}
        return self._request("POST", self._path, json=body, headers=headers, auth=auth, safe=True, explain=explain)

    def _login(self) -> tuple[str, float]:
        password = self._given.get("password")
        if not self._username or password is None:
            raise Unauthorized("the connection has neither an API key nor username and password", field="password")
        reply = self._post(_LOGIN, {"username": self._username, "password": password.reveal()}, {}, None)
        verdict = data_of(reply).get("login")
        if not isinstance(verdict, Mapping) or verdict.get("__typename") != "CurrentUser":
            raise Unauthorized(f"the login is refused: {_code(verdict, 'errorCode')}", field="password")
        token = reply.headers.get(TOKEN_HEADER)
        if not token:
            raise Unauthorized("the login gives no token: the server's authOptions.tokenMethod must contain 'bearer'")
        return token, SESSION


class _ApiKey(AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers[KEY_HEADER] = self._key
        return request


def data_of(reply: Any) -> Mapping[str, Any]:
    """The data of an answer; raises the first of its errors as ours, and `Transient` for what is no answer of GraphQL."""
    try:
        found = _DECODE(reply.body)
        errors, data = found.get("errors") or [], found.get("data")
    except (ValueError, RecursionError, AttributeError) as error:
        raise Transient("the answer is not GraphQL's", status=reply.status) from error
    if errors:
        raise verdict(errors)
    if not isinstance(data, Mapping):
        raise Transient("the answer has no data", status=reply.status)
    return data


def verdict(errors: Any) -> CallError:
    """The first of GraphQL's errors as ours: `Unauthorized` when we may not, `Rejected` when it is in what we asked, `Transient`
    for everything else."""
    first = errors[0] if isinstance(errors, list) and errors else {}
    code = _code(first.get("extensions") if isinstance(first, Mapping) else None, "code")
    message, field = _told(first)
    if code in ("FORBIDDEN", "UNAUTHORIZED", "UNAUTHENTICATED"):
        return Unauthorized(f"{code}: {message}", field=field)
    return (Rejected if code in _PERMANENT else Transient)(f"{code}: {message}", field=field)


def explain(reply: Any) -> tuple[str, str]:
    """The first error of a refusal (a query that the schema does not know comes with HTTP 400)."""
    try:
        return _told(reply.json()["errors"][0])
    except (LookupError, TypeError, CallError):
        return "", ""


def _told(error: Any) -> tuple[str, str]:
    if not isinstance(error, Mapping):
        return "", ""
    path = error.get("path")
    names = [str(step) for step in path] if isinstance(path, list) else []
    return " ".join(str(error.get("message", "")).split())[:200], ".".join(names)


def _code(found: Any, name: str) -> str:
    code = found.get(name) if isinstance(found, Mapping) else None
    return code if isinstance(code, str) and code else "an error without a code"
