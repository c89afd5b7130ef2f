"""The files for operators name what exists: metrics that are measured, runbooks that are written, commands that are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from middleware.cli import cli

ROOT = Path(__file__).parents[1]
OPS = ROOT / "config" / "ops"
RULES = (OPS / "prometheus-rules.yml").read_text("utf-8")


def test_every_alert_is_about_a_metric_that_is_measured() -> None:
    source = "".join(file.read_text("utf-8") for file in (ROOT / "middleware").rglob("*.py"))
    named = set(re.findall(r"waybill_\w+", " ".join(re.findall(r"expr: (.+)", RULES))))
    assert named
    assert [name for name in sorted(named) if f'"{name}"' not in source] == []


def test_every_alert_has_its_runbook() -> None:
    alerts, runbooks = re.findall(r"alert: (\w+)", RULES), re.findall(r"runbook: ([\w/.-]+)", RULES)
    assert len(alerts) == len(runbooks) > 0
    assert [one for one in runbooks if not (ROOT / one).is_file()] == []


def test_every_line_of_the_crontab_is_a_command() -> None:
    lines = [line for line in (OPS / "crontab").read_text("utf-8").splitlines() if ".venv/bin/waybill" in line]
    assert len(lines) == 5
    for line in lines:
        words = shlex.split(line.partition(".venv/bin/waybill ")[2])
        group: click.Command = cli
        while isinstance(group, click.Group):
            group = group.commands[words.pop(0)]
        group.make_context("waybill", words, resilient_parsing=False)
