"""A real Drupal Commerce site that somebody else set up: WAYBILL_TEST_DRUPAL_URL and WAYBILL_TEST_DRUPAL_DRUSH name it.

Nothing of Drupal is in this repository. The site needs this repository's module folder among its modules, the Key module, a
payment gateway `manual`, another for cards, and a product at /product/1 that anybody may buy.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page

from .programs import Unavailable

SCRIPT = Path(__file__).parent / "drupal" / "site.php"


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that a customer placed; `seconds` from the last click to the page that thanks."""

    uuid: str
    number: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DrupalSite:
    """The site over HTTP as customers see it, and over Drush as its administrator does."""

    url: str
    drush: tuple[str, ...]

    @classmethod
    def configured(cls) -> DrupalSite:
        """The site of the environment; raises `Unavailable` where there is none."""
        url, drush = os.environ.get("WAYBILL_TEST_DRUPAL_URL", ""), os.environ.get("WAYBILL_TEST_DRUPAL_DRUSH", "")
        if not url or not drush:
            raise Unavailable("WAYBILL_TEST_DRUPAL_URL and WAYBILL_TEST_DRUPAL_DRUSH name none")
        return cls(url.rstrip("/"), tuple(shlex.split(drush)))

    def ask(self, command: str, script: Path = SCRIPT, **given: Any) -> Any:
        """What `drupal/site.php` (or another script beside it) answers."""
        done = subprocess.run(
            [*self.drush, "php:script", str(script), "--", command, json.dumps(given)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A Drush command."""
        return subprocess.run([*self.drush, *words], capture_output=True, text=True, timeout=120, check=False)

    def buy(self, browser: Browser, mail: str = "ada@example.test") -> Placed:
        """A guest buys product 1 and pays later, through the checkout as it is."""
        context = browser.new_context(base_url=self.url)
        try:
            page = context.new_page()
            page.goto("/product/1")
            page.get_by_role("button", name="Add to cart").click()
            page.goto("/cart")
            page.locator("#edit-checkout").click()
            page.wait_for_url("**/checkout/**")
            self._order_information(page, mail)
            page.get_by_role("button", name=re.compile("Continue to review", re.I)).click()
            page.wait_for_url("**/review")
            began = time.monotonic()
            page.get_by_role("button", name=re.compile("Pay and complete|Complete", re.I)).click()
            page.wait_for_url("**/complete", timeout=20_000)
            seconds = time.monotonic() - began
        finally:
            context.close()
        last = self.ask("last")
        return Placed(last["uuid"], last["number"], seconds)

    def _order_information(self, page: Page, mail: str) -> None:
        guest = page.get_by_role("button", name="Continue as Guest")
        if guest.count():
            guest.click()
        page.locator("input[name='contact_information[email]']").fill(mail)
        confirm = page.locator("input[name='contact_information[email_confirm]']")
        if confirm.count():
            confirm.fill(mail)
        manual = page.locator("input[name='payment_information[payment_method]'][value='manual']")
        if manual.count():
            page.wait_for_function("() => window.Drupal && Drupal.ajax && Drupal.ajax.instances.some(Boolean)")
            manual.check()
            page.locator("input[name*='[payment_details]']").first.wait_for(state="detached")
        address = "[address][0][address]"
        page.locator(f"input[name$='{address}[given_name]']").fill("Ada")
        page.locator(f"input[name$='{address}[family_name]']").fill("Example")
        page.locator(f"input[name$='{address}[address_line1]']").fill("Hauptstr. 1")
        page.locator(f"input[name$='{address}[postal_code]']").fill("10115")
        page.locator(f"input[name$='{address}[locality]']").fill("Berlin")


def process_behind(port: int) -> psutil.Process:
    """The local process that holds a connection from this port of its own."""
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            with suppress(psutil.NoSuchProcess):
                return psutil.Process(connection.pid)
    raise LookupError(f"nobody holds port {port}")
