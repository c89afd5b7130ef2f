"""`waybill demo`, as a visitor starts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from middleware.commands import database
from middleware.testing import Cluster, settings

ROOT = Path(__file__).parents[1]
ORDERS = 15


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], dict[str, Any], float]:
    """The finished demo, its report, and its seconds. It runs in a folder of its own, with the environment's database if there is one."""
    folder = tmp_path_factory.mktemp("demo")
    env = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_") or name.endswith("_URL")}
    began = time.monotonic()
    command = [sys.executable, "-m", "middleware.cli", "demo", "--orders", str(ORDERS), "--exit"]
    done = subprocess.run(
        command, cwd=folder, env={**env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=110, check=False
    )
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "var" / "demo-report.json").read_text("utf-8"))
    shutil.rmtree(folder / "var")
    return done, report, seconds


def test_the_demo_ends_well_and_soon(ended: tuple[subprocess.CompletedProcess[str], dict[str, Any], float]) -> None:
    done, _, seconds = ended
    assert "Nothing lost, nothing twice." in done.stdout
    assert done.stderr == ""
    assert seconds < 40


def test_the_report_is_whole_and_adds_up(ended: tuple[subprocess.CompletedProcess[str], dict[str, Any], float]) -> None:
    _, report, seconds = ended
    assert [report[name] for name in ("orders_placed", "orders_exported", "erp_orders", "shop_told", "payments_captured")] == [ORDERS] * 5
    assert (report["lost"], report["doubled"], report["problems"]) == (0, 0, [])
    assert report["deliveries_sent"] > report["duplicate_deliveries"] + report["refused_deliveries"]
    assert report["duplicate_deliveries"] > 0 and report["refused_deliveries"] > 0
    assert report["catalog_things"] > 100 and report["catalog_refused"] == 1
    assert report["parked_then_joined"] >= 1 and report["unknown_outcomes_settled"] >= 1
    assert 0 < report["seconds"] < seconds


def test_four_stories_are_told_in_plain_lines(ended: tuple[subprocess.CompletedProcess[str], dict[str, Any], float]) -> None:
    done, report, _ = ended
    assert [story.partition(":")[0] for story in report["stories"]] == [
        "A webhook before its order",
        "A lost ERP reply",
        "A forgery",
        "A catalog",
    ]
    printed = " ".join(done.stdout.replace("│", " ").split())
    assert [story for story in report["stories"] if " ".join(story.split()) not in printed] == []


def test_on_a_configured_server_the_demo_takes_a_database_of_its_own(cluster: Cluster, database_url: str) -> None:
    mine = settings(database_url, {}, {})
    with database(mine, fresh=True) as found:
        assert found.database.url != database_url
        assert "/waybill_demo" in found.database.url
    cluster.drop("waybill_demo")
