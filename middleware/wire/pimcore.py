"""DataHub's answers: errors that come with HTTP 200, the page of a listing, and the file of an asset.

https://docs.pimcore.com/platform/Datahub/GraphQL/Query/
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec

from mappings.pimcore import Json, number_of
from middleware.errors import Rejected, Transient
from middleware.ports import Blob

decoded = msgspec.json.Decoder(float_hook=Decimal).decode
canonical = msgspec.json.Encoder(order="sorted", decimal_format="number").encode

_HIDDEN = "Internal server error"
"""What is said instead of an error that is not for clients: it may be over at the next attempt."""


def data(body: bytes) -> Mapping[str, Any]:
    """What a query gave. Raises `Transient` for an error that is not told, `Rejected` for another, also beside data."""
    try:
        answer = decoded(body)
        errors = answer.get("errors")
        messages = [" ".join(str(error["message"]).split())[:200] for error in errors or []]
    except (ValueError, RecursionError, AttributeError, LookupError, TypeError) as error:
        raise Rejected("the answer is no GraphQL") from error
    if messages:
        raise (Transient if messages[0] == _HIDDEN else Rejected)(messages[0])
    if not isinstance(answer.get("data"), Mapping):
        raise Rejected("the answer is no GraphQL", field="data")
    return answer["data"]  # type: ignore[no-any-return]


def page(body: bytes, above: int) -> tuple[list[Json], int]:
    """The objects of a listing whose ids are above `above`, and how many there are in all. Raises `Rejected` when they are not in
    the order of their ids: nothing could be told about what comes next."""
    try:
        listing = data(body)["listing"]
        nodes = [edge["node"] for edge in listing["edges"]]
        ids = [above, *map(number_of, nodes)]
        total = int(listing["totalCount"])
    except (LookupError, TypeError, ValueError) as error:
        raise Rejected("the answer is no listing", field="edges") from error
    if any(one >= other for one, other in pairwise(ids)):
        raise Rejected("the objects are not in the order of their ids", field="sortBy")
    return nodes, total


def blob(body: bytes, reference: str) -> Blob:
    """The file of an asset; raises `Rejected` when there is none."""
    asset = data(body).get("getAsset")
    if not isinstance(asset, Mapping) or not isinstance(asset.get("data"), str):
        raise Rejected("there is no such file", field=reference[:200])
    try:
        content = base64.b64decode(asset["data"], validate=True)
    except ValueError as error:
        raise Rejected("the file is not in base64", field=reference[:200]) from error
    kind = asset.get("mimetype")
    return Blob(reference.rpartition("/")[2], content, kind if isinstance(kind, str) else "")
