"""A real Tryton (GPL-3, from PyPI) as a process of its own: installed once, seeded once into a template database, then cloned.

Needs a PostgreSQL that may create databases: `WAYBILL_TEST_TRYTON_DATABASE_URL`, else one on 127.0.0.1:5432, else the
embedded one. Everything that stays between runs lies in `var/` and in one template database per set of versions and seed.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests
from psycopg import sql

from middleware.embedded import EmbeddedPostgres
from middleware.errors import SettingsError
from middleware.simulators.proxy import FaultProxy

from .programs import HERE, VAR, Unavailable, await_listener, free_port, installed, run

MODULES = ["sale", "web_shop", "sale_price_list", "product_price_list_dates", "product_attribute"]
LANGUAGES = ["de"]
PACKAGES = ["trytond", *(f"trytond_{module}" for module in MODULES), "proteus", "psycopg[binary]", "psycopg_pool"]
PASSWORD = "admin-pw"
CONSTRAINTS = HERE / "tryton-constraints.txt"
BOOTSTRAP = HERE / "tryton_bootstrap.py"


@dataclass
class Tryton:
    """A running trytond and one seeded database in it. `url` is a connection's base_url; ids are those of the seed."""

    root: str
    command: list[str]
    cluster: str
    template: str
    key: str
    company: int
    web_shop: int
    payment_term: int
    warehouse: int
    database: str = ""
    _session: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.root}/{self.database}"

    def proxy(self) -> FaultProxy:
        """A fault proxy in front; `proxied(proxy)` is the base_url through it. Close it."""
        return FaultProxy(self.root)

    def proxied(self, proxy: FaultProxy) -> str:
        return f"{proxy.url}/{self.database}"

    def rpc(self, method: str, *params: Any, **context: Any) -> Any:
        """Call `model.sale.sale.read`-like methods over JSON-RPC as the administrator; AssertionError for Tryton's errors."""
        if not self._session:
            user, token, *_ = self._post("common.db.login", ["admin", {"password": PASSWORD}])
            self._session = {"Authorization": "Session " + base64.b64encode(f"admin:{user}:{token}".encode()).decode()}
        return self._post(method, [*params, {"company": self.company, **context}])

    def count_sales(self, reference: str) -> int:
        """How many sales, of whatever state, carry this reference (the shop's order number)."""
        return self.rpc("model.sale.sale.search_count", [["reference", "=", reference]])

    def sales(self, reference: str, fields: list[str]) -> list[dict[str, Any]]:
        """Those sales, as JSON-RPC reads them."""
        return self.rpc("model.sale.sale.search_read", [["reference", "=", reference]], 0, None, None, fields)

    def ship(self, sale: int) -> None:
        """Assign, pick, pack and do every open shipment of the sale."""
        (found,) = self.rpc("model.sale.sale.read", [sale], ["shipments"])
        for shipment in found["shipments"]:
            assert self.rpc("model.stock.shipment.out.assign_try", [shipment]) is not False
            for step in ("pick", "pack", "do"):
                self.rpc(f"model.stock.shipment.out.{step}", [shipment])

    def reset(self) -> None:
        """Change to a fresh clone of the template, on the same port; the old database is dropped."""
        self.stop()
        self.database, self._session = f"waybill_tryton_test_{os.getpid()}_{time.monotonic_ns()}", {}
        with _admin(self.cluster) as db:
            db.execute(sql.SQL("create database {} template {}").format(sql.Identifier(self.database), sql.Identifier(self.template)))
        # Named with -d: trytond remembers its list of databases for five minutes and would not see this one.
        with (VAR / "tryton.log").open("ab") as log:
            self._process = subprocess.Popen([*self.command, "-d", self.database], stdout=log, stderr=log)
        await_listener(self._process, self.root, VAR / "tryton.log")

    def stop(self) -> None:
        """Stop trytond and drop its database."""
        if self._process:
            self._process.terminate()
            self._process.wait(30)
            self._process = None
            with _admin(self.cluster) as db:
                db.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(self.database)))

    def _post(self, method: str, params: list[Any]) -> Any:
        body = json.dumps({"id": 1, "method": method, "params": params})
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **self._session}
        with requests.post(f"{self.url}/rpc/", data=body, headers=headers, timeout=60, stream=True) as answer:
            # Tryton says gzip of long answers even when they are not packed.
            answer.raw.decode_content = False
            raw = answer.raw.read()
        assert answer.status_code == 200, (answer.status_code, raw[:200])
        told = json.loads(raw)
        assert "error" not in told, told["error"]
        return told["result"]


@contextmanager
def running() -> Iterator[Tryton]:
    """Install and seed what is missing, start trytond on a free port, and take away process and database at the end.
    Raises `Unavailable`."""
    VAR.mkdir(exist_ok=True)
    with _cluster() as cluster:
        with (VAR / "tryton.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            binaries = installed("tryton", PACKAGES)
            template, facts = _seeded(cluster, binaries)
        port = free_port()
        config = _config(f"run-{port}", cluster, port)
        tryton = Tryton(f"http://127.0.0.1:{port}", [str(binaries / "trytond"), "-c", str(config)], cluster, template, **facts)
        try:
            tryton.reset()
            yield tryton
        finally:
            tryton.stop()
            config.unlink()


@contextmanager
def _cluster() -> Iterator[str]:
    """The address of a PostgreSQL that may create databases, without a database name at its end."""
    given = os.environ.get("WAYBILL_TEST_TRYTON_DATABASE_URL")
    if given:
        yield given
        return
    try:
        with psycopg.connect("postgresql://127.0.0.1:5432/postgres", connect_timeout=2) as db:
            row = db.execute("select current_user, rolsuper or rolcreatedb from pg_roles where rolname = current_user").fetchone()
    except psycopg.OperationalError:
        row = None
    if row and row[1]:
        yield f"postgresql://{row[0]}@127.0.0.1:5432/postgres"
        return
    try:
        embedded = EmbeddedPostgres(VAR / "tryton-postgres").__enter__()
    except SettingsError as error:
        raise Unavailable(f"none configured, none on 127.0.0.1:5432, and {error}") from error
    try:
        yield embedded.url
    finally:
        embedded.stop()


@contextmanager
def _admin(cluster: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(cluster, autocommit=True) as db:
        yield db


def _seeded(cluster: str, binaries: Path) -> tuple[str, dict[str, Any]]:
    """The template's name and the facts of its seed, which lie in the database's comment; it is renamed when it is complete."""
    recipe = CONSTRAINTS.read_bytes() + BOOTSTRAP.read_bytes() + repr(MODULES + LANGUAGES).encode()
    template = "waybill_tryton_" + hashlib.sha256(recipe).hexdigest()[:10]
    with _admin(cluster) as db:
        row = db.execute("select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [template]).fetchone()
        if row:
            return template, json.loads(row[0])
        name, final = sql.Identifier(f"{template}_seeding"), sql.Identifier(template)
        db.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        db.execute(sql.SQL("create database {}").format(name))
        facts = _seed(cluster, binaries, f"{template}_seeding")
        db.execute(sql.SQL("comment on database {} is {}").format(name, sql.Literal(json.dumps(facts))))
        db.execute(sql.SQL("alter database {} rename to {}").format(name, final))
    return template, facts


def _seed(cluster: str, binaries: Path, database: str) -> dict[str, Any]:
    config = _config("seed", cluster, 0)
    password = VAR / "tryton-password"
    password.write_text(PASSWORD, "utf-8")
    admin = [str(binaries / "trytond-admin"), "-c", str(config), "-d", database]
    env = {**os.environ, "TRYTONPASSFILE": str(password)}
    # An --email in the second command would take the administrator's rights away (trytond 8.2.1).
    run([*admin, "--all", "--email", "admin@example.invalid"], "the database cannot be made", env)
    run([*admin, "-u", *MODULES, "--activate-dependencies", "--language", *LANGUAGES], "the modules cannot be activated", env)
    told = run([str(binaries / "python"), str(BOOTSTRAP), database, str(config)], "the seed failed", env)
    return json.loads(told.strip().splitlines()[-1])


def _config(name: str, cluster: str, port: int) -> Path:
    path = VAR / f"tryton-{name}.conf"
    uri = urlsplit(cluster)._replace(path="/").geturl()
    path.write_text(f"[web]\nlisten = 127.0.0.1:{port}\n[database]\nuri = {uri}\n", "utf-8")
    return path
