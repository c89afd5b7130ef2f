"""A real Vendure (GPL-3, from npm) on PostgreSQL as a process of its own: installed once with the versions of its lock file.

Needs Node 20, npm and a PostgreSQL that may create databases. Installing takes about half a minute, starting about four seconds.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import requests
from psycopg import sql

from .programs import VAR, await_listener, free_port, npm_installed
from .tryton_server import _admin, _cluster

USER = PASSWORD = "superadmin"
LOG = VAR / "vendure.log"
EUR, CHF = "EUR", "CHF"


@dataclass
class Vendure:
    """A running Vendure with an empty catalogue; `url` is a connection's base_url. `trade` is the token of a second channel with
    net prices, `sizes` the ids of the options S and M, `locations` the ids of Berlin (the default) and Basel; `in_zone` starts another
    process on the same database, with its clock in that time zone."""

    url: str
    in_zone: Callable[[str], AbstractContextManager[Vendure]]
    trade: str = "trade-token"
    trade_id: str = ""
    tax_category: str = ""
    facet_value: str = ""
    size: str = ""
    sizes: Mapping[str, str] = field(default_factory=dict)
    locations: Mapping[str, str] = field(default_factory=dict)
    _session: requests.Session = field(default_factory=requests.Session)

    def ask(self, query: str, channel: str = "", **variables: Any) -> Any:
        """The data of an answer; AssertionError for its errors."""
        headers = {"vendure-token": channel} if channel else {}
        answer = self._session.post(f"{self.url}/admin-api", json={"query": query, "variables": variables}, headers=headers, timeout=30)
        told = answer.json()
        assert "errors" not in told, told["errors"]
        if "vendure-auth-token" in answer.headers:
            self._session.headers["Authorization"] = f"Bearer {answer.headers['vendure-auth-token']}"
        (found,) = told["data"].values()
        return found

    def create(self, what: str, **values: Any) -> Any:
        """The id of what `createWhat` makes."""
        return self.ask(f"mutation($input:Create{what}Input!){{create{what}(input:$input){{... on Node{{id}}}}}}", input=values)["id"]

    def product(self, name: str, german: str, **changes: Any) -> str:
        """A new product; its slug is its name in lower case."""
        texts = [("en", name, name.lower()), ("de", german, german.lower())]
        translations = [
            {"languageCode": language, "name": text, "slug": slug, "description": f"<p>{text}</p>"} for language, text, slug in texts
        ]
        return self.create("Product", enabled=True, translations=translations, **changes)

    def sized(self, product: str) -> None:
        """Its variants differ by size; without that it can have only one."""
        query = "mutation($p:ID!,$o:ID!){addOptionGroupToProduct(productId:$p,optionGroupId:$o){id}}"
        self.ask(query, p=product, o=self.size)

    def variant(self, product: str, sku: str, price: int, **changes: Any) -> str:
        """A new variant of it at this price in cents, with 10 pieces in Berlin and 3 in Basel."""
        berlin, basel = self.locations.values()
        levels = [{"stockLocationId": berlin, "stockOnHand": 10}, {"stockLocationId": basel, "stockOnHand": 3}]
        given = {
            "productId": product,
            "sku": sku,
            "price": price,
            "taxCategoryId": self.tax_category,
            "stockLevels": levels,
            "translations": texts(sku.title()),
            **changes,
        }
        (made,) = self.ask("mutation($i:[CreateProductVariantInput!]!){createProductVariants(input:$i){id}}", i=[given])
        return made["id"]

    def change(self, variant: str, channel: str = "", **changes: Any) -> None:
        """Change a variant."""
        query = "mutation($i:[UpdateProductVariantInput!]!){updateProductVariants(input:$i){id}}"
        self.ask(query, channel, i=[{"id": variant, **changes}])

    def asset(self, name: str, content: bytes) -> Any:
        """Upload a picture: its id and the address of its file."""
        query = "mutation($f:Upload!){createAssets(input:[{file:$f}]){... on Asset{id source}}}"
        operations = requests.compat.json.dumps({"query": query, "variables": {"f": None}})  # type: ignore[attr-defined]
        answer = self._session.post(
            f"{self.url}/admin-api",
            data={"operations": operations, "map": '{"0": ["variables.f"]}'},
            files={"0": (name, content, "image/png")},
            headers={"apollo-require-preflight": "true"},
            timeout=30,
        )
        return answer.json()["data"]["createAssets"][0]


def texts(english: str, german: str = "") -> list[dict[str, str]]:
    """Translations that are a name each."""
    found = [{"languageCode": "en", "name": english}, {"languageCode": "de", "name": german}]
    return [one for one in found if one["name"]]


@contextmanager
def running() -> Iterator[Vendure]:
    """Install it when it is missing, start it on a free port with a database of its own, and take both away at the end. Raises
    `Unavailable`."""
    home = npm_installed("vendure")
    database = f"waybill_vendure_{os.getpid()}_{time.monotonic_ns()}"
    with _cluster() as cluster, TemporaryDirectory() as folder:
        with _admin(cluster) as db:
            db.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
        try:
            with _started(home, folder, {**_named(cluster), "PGDATABASE": database}, "UTC") as vendure:
                _seed(vendure)
                yield vendure
        finally:
            with _admin(cluster) as db:
                db.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))


@contextmanager
def _started(home: Path, folder: str, database: dict[str, str], zone: str) -> Iterator[Vendure]:
    port = free_port()
    env = {**os.environ, **database, "VENDURE_DISABLE_TELEMETRY": "true", "TZ": zone}
    with LOG.open("ab") as log:
        process = subprocess.Popen(["node", str(home / "server.js"), str(port), folder], stdout=log, stderr=log, cwd=home, env=env)
    try:
        vendure = Vendure(f"http://127.0.0.1:{port}", lambda other: _started(home, folder, database, other))
        await_listener(process, vendure.url, LOG)
        login = "mutation($u:String!,$p:String!){login(username:$u,password:$p){__typename}}"
        assert vendure.ask(login, u=USER, p=PASSWORD) == {"__typename": "CurrentUser"}
        yield vendure
    finally:
        process.terminate()
        process.wait(10)


def _named(cluster: str) -> dict[str, str]:
    """A server by the names that Node's driver reads; one without a port is reached by its socket."""
    given = psycopg.conninfo.conninfo_to_dict(cluster)
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    return {name: str(given[key]) for name, key in names.items() if given.get(key)}


def _seed(vendure: Vendure) -> None:
    vendure.ask("mutation{updateGlobalSettings(input:{availableLanguages:[en,de]}){__typename}}")
    country = vendure.create("Country", code="DE", enabled=True, translations=texts("Germany"))
    zone = vendure.create("Zone", name="EU", memberIds=[country])
    vendure.tax_category = vendure.create("TaxCategory", name="Standard", isDefault=True)
    vendure.create("TaxRate", name="VAT", enabled=True, value=19, categoryId=vendure.tax_category, zoneId=zone)
    zones = {"defaultTaxZoneId": zone, "defaultShippingZoneId": zone, "defaultCurrencyCode": EUR}
    own = {"id": "1", "availableCurrencyCodes": [EUR, CHF], "availableLanguageCodes": ["en", "de"], "pricesIncludeTax": True, **zones}
    vendure.ask("mutation($i:UpdateChannelInput!){updateChannel(input:$i){__typename}}", i=own)
    vendure.trade_id = vendure.create(
        "Channel",
        code="trade",
        token=vendure.trade,
        defaultLanguageCode="en",
        availableCurrencyCodes=[EUR],
        pricesIncludeTax=False,
        **zones,
    )
    vendure.ask('mutation{updateStockLocation(input:{id:1,name:"Berlin"}){id}}')
    vendure.locations = {"Berlin": "1", "Basel": vendure.create("StockLocation", name="Basel")}
    facet = vendure.create("Facet", code="brand", isPrivate=False, translations=texts("Brand"))
    vendure.facet_value = vendure.create("FacetValue", facetId=facet, code="acme", translations=texts("Acme"))
    group = "mutation($i:CreateProductOptionGroupInput!){createProductOptionGroup(input:$i){id options{id code}}}"
    sizes = [{"code": code, "translations": texts(code.upper())} for code in ("s", "m")]
    made = vendure.ask(group, i={"code": "size", "translations": texts("Size", "Größe"), "options": sizes})
    vendure.size, vendure.sizes = made["id"], {one["code"]: one["id"] for one in made["options"]}
