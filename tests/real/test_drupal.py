"""The whole journey on a real Drupal Commerce site with the module: out at checkout, back from the ERP and the payment provider."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
import requests
from playwright.sync_api import Browser, sync_playwright
from werkzeug.wrappers import Request, Response

from middleware.connectors import drupal
from middleware.connectors._http import Http
from middleware.errors import Rejected, Unauthorized
from middleware.ports import Effect, Write
from middleware.settings import Connection
from middleware.simulators._server import Simulator
from middleware.simulators.erp import ErpSimulator
from middleware.testing import secret
from tests.world import intent_event, refund_event, sign_stripe

from .deployment import Deployment
from .drupal_site import DrupalSite, Placed, process_behind
from .programs import Unavailable, eventually
from .test_browser import CHROMIUM, FLAGS

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

OUT, IN = "whsec_ZTJlLW91dC1zZWNyZXQtMDEyMzQ1Njc4OQ==", "whsec_ZTJlLWluLXNlY3JldC0wMTIzNDU2Nzg5MDE="
CONFIGURATION = """
environment = "development"
var = "{folder}/var"
keys = ["file:{folder}/key"]
[web]
port = {port}
[connections.shop]
system = "drupal"
base_url = "{site}"
secrets = ["file:{folder}/out"]
credentials = {{ signing_key = "file:{folder}/in" }}
options = {{ key_id = "e2e", site_tag = "waybill:e2e", gateways = {{ stripe = "example_onsite" }}, state_on = {{ shipped = "completed" }} }}
timeout = 10
[connections.stripe]
system = "stripe"
base_url = "http://127.0.0.1:9"
secrets = ["file:{folder}/stripe"]
payment_writer = "own"
[connections.erp]
system = "demo_erp"
base_url = "{erp}"
credentials = {{ key = "file:{folder}/erp" }}
timeout = 5
deadline = 10
settle = 2
poll = 1
overlap = 5
[stores.main]
shop = "shop"
erp = "erp"
payments = ["stripe"]
"""


CONTRACTS = Path(__file__).parents[2] / "docs" / "contracts" / "events"
SCHEMAS = {name: json.loads((CONTRACTS / f"{name}.schema.json").read_text("utf-8")) for name in ("order", "signal")}


class Shop:
    """The site, a Waybill beside it and the ERP behind that one."""

    def __init__(self, site: DrupalSite, erp: ErpSimulator, deployment: Deployment) -> None:
        self.site, self.erp, self.deployment = site, erp, deployment

    @property
    def endpoint(self) -> str:
        return f"{self.deployment.url}/webhooks/shop"

    def start(self) -> None:
        self.deployment.web(1)

    def exported(self, placed: Placed) -> int:
        return len(self.erp.orders_by_reference().get(placed.uuid, []))

    def order(self, placed: Placed) -> dict[str, Any]:
        found: dict[str, Any] = self.site.ask("order", uuid=placed.uuid)
        return found

    def outbox(self, placed: Placed) -> list[dict[str, Any]]:
        return [row for row in self.site.ask("outbox") if row["order_uuid"] == placed.uuid]

    def stripe(self, body: bytes) -> None:
        answer = requests.post(f"{self.deployment.url}/webhooks/stripe", data=body, headers=sign_stripe(body), timeout=10)
        assert answer.status_code == 200, answer.text

    def deliver(self) -> None:
        self.site.ask("due")
        done = self.site.run("waybill:deliver")
        assert " 0 left, 0 dead" in done.stdout.replace(",", ", ").replace("  ", " "), done.stdout + done.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    try:
        site = DrupalSite.configured()
    except Unavailable as reason:
        pytest.skip(f"no real Drupal site: {reason}")
    folder = tmp_path_factory.mktemp("waybill")
    secrets = {"out": OUT, "in": IN, "stripe": "whsec_c3RyaXBlLXRlc3Qtc2VjcmV0", "erp": "erp-key"}
    with ErpSimulator(key="erp-key") as erp:
        deployment = Deployment(folder, CONFIGURATION, secrets, site=site.url, erp=erp.url)
        made = Shop(site, erp, deployment)
        site.ask("prepare", endpoint=made.endpoint, out=OUT, **{"in": IN})
        made.start()
        try:
            yield made
        finally:
            deployment.stop()
            print(deployment.logs())  # shown where a test failed
            site.ask("restore")


def test_an_order_its_payment_its_parcel_and_its_refund_arrive_on_both_sides(shop: Shop, browser: Browser) -> None:
    placed = shop.site.buy(browser)
    payment = f"pi_{placed.uuid}"
    eventually(lambda: shop.exported(placed) == 1, "the order is in the ERP")
    eventually(lambda: shop.order(placed)["erp_number"], "its number is in the shop")
    before = shop.order(placed)
    [erp_order] = shop.erp.orders_by_reference()[placed.uuid]
    assert (before["erp_number"], before["state"], before["paid"]) == (erp_order.number, "fulfillment", "0")
    total = before["total"]
    minor = round(float(total) * 100)
    intent = {"order": placed.uuid, "amount": minor}

    shop.stripe(intent_event(payment, created=int(time.time()), **intent))
    eventually(lambda: shop.order(placed)["paid"] == total, "the payment is in the shop")
    assert ["example_onsite", payment, "completed", total, "0"] in shop.order(placed)["payments"]
    eventually(lambda: "order.paid" in [row["event"] for row in shop.outbox(placed)], "the shop says that it is paid")

    for state in ("confirmed", "processing", "shipped"):
        shop.erp.advance(erp_order.id, state)
    eventually(lambda: shop.order(placed)["erp_status"] == "shipped", "the status is in the shop")
    eventually(lambda: shop.order(placed)["tracking"] == [erp_order.parcels[0]["tracking_code"]], "the tracking code is in the shop")
    eventually(lambda: shop.order(placed)["state"] == "completed", "the order is completed")

    shop.stripe(refund_event(payment, f"re_{placed.uuid}", 500, created=int(time.time()) + 1))
    eventually(lambda: ["example_onsite", payment, "partially_refunded", total, "5"] in shop.order(placed)["payments"], "the refund")
    assert shop.exported(placed) == 1
    eventually(lambda: {row["status"] for row in shop.outbox(placed)} == {"delivered"}, "everything was told")


def test_the_settings_form_s_test_proves_both_directions(shop: Shop) -> None:
    assert shop.site.ask("ping") == {"status": 200, "answered": True}


def test_oauth_goes_on_working_beside_signatures(shop: Shop) -> None:
    if shop.site.ask("oauth", secret="oauth-client-secret")["absent"]:
        pytest.skip("the site has no simple_oauth")
    with_oauth = Connection(
        "shop", "drupal", shop.site.url, (), {"client_secret": secret("oauth-client-secret")}, {"client_id": "waybill"}, timeout=20
    )
    effect = Effect("ping", "answer_ping", "ping/never-sent", {"ping": "never-sent"})
    with pytest.raises(Rejected, match="Not Found"):  # let in, and told that no such ping was sent
        drupal.Connector(with_oauth, Http(with_oauth)).answer_ping(effect)
    stranger = replace(with_oauth, credentials={"client_secret": secret("another")})
    with pytest.raises(Unauthorized):
        drupal.Connector(stranger, Http(stranger)).answer_ping(effect)


def test_what_the_module_says_follows_the_published_schemas(shop: Shop, browser: Browser) -> None:
    said: list[dict[str, Any]] = []

    class Middleware(Simulator):
        name = "middleware"

        def answer(self, request: Request) -> Response:
            said.append(request.get_json())
            return Response(status=200)

    with Middleware() as middleware:
        shop.site.ask("point", endpoint=f"{middleware.url}/webhooks/shop")
        placed = shop.site.buy(browser)
        eventually(lambda: {row["status"] for row in shop.outbox(placed)} == {"delivered"}, "everything was told")
    shop.site.ask("point", endpoint=shop.endpoint)
    kinds = {event["type"] for event in said}
    assert {"order.placed", "payment.inserted", "cart.created", "checkout.step", "checkout.total", "payment.attempted"} <= kinds, kinds
    for event in said:
        jsonschema.validate(event, SCHEMAS["order" if "order" in event["data"] else "signal"], format_checker=jsonschema.FormatChecker())
    numbers = [event["sequence"] for event in said if "sequence" in event]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("module", ["auto", "never"])
def test_a_catalog_is_written_through_the_module_and_over_plain_json_api_alike(shop: Shop, module: str) -> None:
    configured = shop.deployment.settings().connections["shop"]
    connection = replace(configured, name=f"shop-{module}", options={**configured.options, "module": module})
    connector = drupal.Connector(connection, Http(connection))
    code = f"E2E-{module}-{time.time_ns()}"
    size = {"weight": {"number": "1", "unit": "g"}, "dimensions": {"length": "1", "width": "1", "height": "1", "unit": "mm"}}

    def wanted(number: str) -> list[Write]:
        fields = {"title": code, "price": {"number": number, "currency_code": "EUR"}, **size}
        variations = [Write("variation", f"{code}-{index}", fields, code, makes=True) for index in range(3)]
        return [Write("product", code, {"title": code}, makes=True), *variations]

    made = connector.write_items(wanted("19.99"))
    assert [one.error for one in made] == [None] * 4
    again = connector.write_items(wanted("19.99"))
    assert [one.remote_id for one in again] == [one.remote_id for one in made]
    connector.write_items(wanted("21"))
    gone = connector.write_items([Write("variation", f"{code}-2", {}, code, made[3].remote_id, is_gone=True)])
    assert [one.error for one in gone] == [None]
    found = shop.site.ask("catalog", prefix=code)
    assert found == [[code, f"{code}-{index}", "21", index != 2] for index in range(3)]
    shop.site.ask("forget", prefix=code)


def test_nothing_is_lost_when_the_middleware_is_down_during_checkout(shop: Shop, browser: Browser) -> None:
    shop.deployment.stop()
    placed = shop.site.buy(browser)
    assert shop.order(placed)["number"] == placed.number
    assert {row["status"] for row in shop.outbox(placed)} == {"pending"}
    shop.start()
    shop.deliver()
    eventually(lambda: shop.exported(placed) == 1, "the order is in the ERP")


def test_checkout_does_not_wait_for_a_middleware_that_hangs(shop: Shop, browser: Browser) -> None:
    with trapping(lambda _: None) as trap:
        shop.site.ask("point", endpoint=trap)
        hanging = shop.site.buy(browser)
    shop.site.ask("point", endpoint=shop.endpoint)
    answering = shop.site.buy(browser)
    assert hanging.number != answering.number
    assert hanging.seconds < answering.seconds + 4.0  # the delivery's own time-out is 5 s
    shop.deliver()  # after the hanging, the site leaves the middleware alone for a while: cron or Drush delivers
    eventually(lambda: (shop.exported(hanging), shop.exported(answering)) == (1, 1), "both orders are in the ERP")


def test_nothing_is_lost_when_php_is_killed_right_after_the_response(shop: Shop, browser: Browser) -> None:
    killed: list[int] = []

    def kill(port: int) -> None:
        process = process_behind(port)
        killed.append(process.pid)
        process.send_signal(signal.SIGKILL)

    with trapping(kill) as trap:
        shop.site.ask("point", endpoint=trap)
        placed = shop.site.buy(browser)
        eventually(lambda: killed, "PHP was killed while it delivered")
    assert not psutil.pid_exists(killed[0])
    assert {row["status"] for row in shop.outbox(placed)} == {"pending"}
    shop.site.ask("point", endpoint=shop.endpoint)
    shop.deliver()
    eventually(lambda: shop.exported(placed) == 1, "the order is in the ERP")
    assert {row["status"] for row in shop.outbox(placed)} == {"delivered"}


@contextmanager
def trapping(on_request: Callable[[int], None]) -> Iterator[str]:
    """An address that takes requests and never answers; `on_request` gets the sender's port once its request is there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def accept() -> None:
            server.settimeout(0.2)
            held = []
            while not over.is_set():
                try:
                    connection, (_, port) = server.accept()
                except TimeoutError:
                    continue
                held.append(connection)
                connection.recv(65_536)
                on_request(port)
            for connection in held:
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/webhooks/shop"
        finally:
            over.set()
            thread.join()
