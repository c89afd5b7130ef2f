"""A visitor of the demo, with a real browser: follows the printed link, reads the stories, stops the ERP, sees an order wait and drain."""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or ""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
SCREENSHOT = os.environ.get("WAYBILL_SCREENSHOT", "")
"""Where to leave a picture of an order's page (the README's is docs/console.png)."""


class Demo:
    """`waybill demo` in a folder of its own, with its lines as they are printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")} | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "middleware.cli", "demo", "--orders", "12"],
            cwd=folder,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.printed: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str, seconds: float = 100) -> re.Match[str]:
        """The first match in what was printed and is printed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(pattern, self.text())
            if found:
                return found
            try:
                self.printed.append(self._lines.get(timeout=0.2))
            except queue.Empty:
                assert self._process.poll() is None, f"the demo ended:\n{self.text()}"
        raise AssertionError(f"{pattern!r} was not printed:\n{self.text()}")

    def text(self) -> str:
        """What was printed, panels and line breaks folded away."""
        return " ".join(re.sub(r"[│╭╮╰╯─━]", " ", "".join(self.printed)).split())

    def type(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def command(self, *words: str) -> str:
        """A `waybill` command beside the running demo, as the demo says to start it."""
        env = {**self.env, "WAYBILL_CONFIG_DIR": "var/demo/config"}
        done = subprocess.run(
            [sys.executable, "-m", "middleware.cli", *words],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def end(self) -> int:
        self.type("quit")
        code = self._process.wait(60)
        self._reader.join(10)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        return code

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if not CHROMIUM:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    started = Demo(tmp_path_factory.mktemp("demo"))
    try:
        yield started
    finally:
        started.kill()


@pytest.fixture(scope="module")
def context(demo: Demo) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        made = browser.new_context(viewport={"width": 1180, "height": 860})
        yield made
        made.close()
        browser.close()


@pytest.fixture(scope="module")
def page(context: BrowserContext) -> Iterator[tuple[Page, list[str]]]:
    """A page, and everything that the browser complained of."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    yield opened, complaints


def eventually(check: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def open_order(page: Page, number: str) -> None:
    page.goto(page.url.partition("/console/")[0] + "/console/")
    page.get_by_role("link", name=number, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Order {number}")


def timeline(page: Page) -> str:
    return page.locator(".timeline").inner_text()


def test_a_visitor_follows_the_link_and_reads_the_stories(demo: Demo, context: BrowserContext, page: tuple[Page, list[str]]) -> None:
    visitor, complaints = page
    link = demo.wait_for(r"\(the link works once\): (http://\S+/console/enter/\S+)")[1]
    console = link.partition("enter/")[0]
    early = demo.wait_for(r"for order (\S+) arrived before the shop's order did")[1]
    lost, erp_number = demo.wait_for(r"answer to order (\S+) never came .*? and found (\S+) after").groups()
    refused = demo.wait_for(r"were refused at the door and left no event: (\d+) × signature")[1]
    assert int(refused) > 0

    stranger = context.browser.new_context()  # type: ignore[union-attr]
    locked = stranger.new_page()
    assert locked.goto(console).status == 401  # type: ignore[union-attr]
    assert locked.goto(f"{console}orders/1").status == 401  # type: ignore[union-attr]
    expect(locked.get_by_role("heading", level=1)).to_have_text("This page opens with a one-time link")

    answer = visitor.goto(link)
    assert answer is not None and answer.status == 200
    assert visitor.url == console, "the token is not left in the address"
    expect(visitor.get_by_role("heading", level=1)).to_have_text("Orders")
    expect(visitor.locator("tbody tr")).to_have_count(12)
    assert locked.goto(link).status == 401  # type: ignore[union-attr]
    stranger.close()

    open_order(visitor, early)
    assert "it came before its order: parked, and joined after" in timeline(visitor)
    assert "stripe: payment_intent.created" in timeline(visitor)

    open_order(visitor, lost)
    told = timeline(visitor)
    assert "POST /orders: no answer" in told
    assert re.search(r"GET /orders\S*: 200", told)
    assert "export_state: asked → unknown" in told
    assert re.search("export_state: (unknown|asked) → exported", told)  # asked again when the look-up itself had to wait
    assert "create_order → erp: done" in told
    expect(visitor.locator("dl")).to_contain_text(erp_number)
    if SCREENSHOT:
        visitor.screenshot(path=SCREENSHOT, full_page=True)
    assert complaints == []


def test_the_command_prints_the_lines_of_the_page(demo: Demo, page: tuple[Page, list[str]]) -> None:
    visitor, _ = page
    lost = demo.wait_for(r"answer to order (\S+) never came")[1]
    open_order(visitor, lost)
    printed = " ".join(demo.command("orders", "show", lost).split())
    titles = visitor.locator(".timeline li strong").all_inner_texts()
    details = visitor.locator(".timeline li .detail").all_inner_texts()
    assert len(titles) > 10
    assert [text for text in (*titles, *details) if " ".join(text.split()) not in printed] == []


def test_an_order_waits_for_a_stopped_erp_with_its_reason_and_drains(demo: Demo, page: tuple[Page, list[str]]) -> None:
    visitor, complaints = page
    demo.type("stop")
    demo.wait_for("The ERP is down. Orders wait, with their reason.")
    demo.type("order")
    number = demo.wait_for(r"Order (\S+) is placed")[1]
    demo.wait_for(rf"order {number}: asked, ")
    open_order(visitor, number)
    expect(visitor.locator("#waits")).to_contain_text(re.compile("connection|breaker", re.IGNORECASE), timeout=20_000)
    expect(visitor.locator(".pill")).to_have_text("asked")
    demo.type("start")
    demo.wait_for("The ERP is up. What waits drains by itself.")
    eventually(lambda: visitor.locator("#waits").count() == 0)  # the page reloads by itself while the order waits
    expect(visitor.locator(".pill")).to_have_text("exported")
    assert complaints == []


def test_the_page_is_read_only_and_needs_no_script(demo: Demo, context: BrowserContext, page: tuple[Page, list[str]]) -> None:
    visitor, complaints = page
    visitor.goto(visitor.url.partition("/console/")[0] + "/console/")
    assert visitor.locator("script").count() == 0
    assert [form.get_attribute("method") for form in visitor.locator("form").all()] == ["get"]
    for method in ("post", "put", "delete"):
        assert getattr(context.request, method)(visitor.url).status == 405
    visitor.get_by_label("Number or id").fill("no such order")
    visitor.get_by_role("button", name="Find").click()
    expect(visitor.locator("tbody")).to_have_text("No orders with that number or id.")
    assert complaints == []


def test_the_demo_ends_when_it_is_told_to(demo: Demo) -> None:
    assert demo.end() == 0
