"""The documents say what the code does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from middleware.cli import cli
from middleware.commands.setup import FIRST_CONFIGURATION
from tests import documents

ROOT = documents.ROOT
ALL = [file for file in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", documents.documents(), ids=name_of)
def test_a_generated_part_equals_the_code(file: Path) -> None:
    assert file.read_text("utf-8") == documents.generated(file), "run: python -m tests.documents"


def test_every_generated_part_is_shown_somewhere() -> None:
    shown = "".join(file.read_text("utf-8") for file in ALL)
    assert [name for name in documents.PARTS if f"<!-- generated: {name} -->" not in shown] == []


@pytest.mark.parametrize("file", ALL, ids=name_of)
def test_every_link_to_a_file_leads_there(file: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", file.read_text("utf-8"))
    assert [link for link in links if not (file.parent / link).exists()] == []


@pytest.mark.parametrize("file", ALL, ids=name_of)
def test_every_waybill_command_in_a_document_exists_with_its_options(file: Path) -> None:
    written = re.findall(r"(?:^|[`(;|] ?|bin/)waybill ((?:[a-z][\w./-]*|-)[^`\n;|#)…]*)", file.read_text("utf-8"), re.MULTILINE)
    assert [line for line in written if not exists(line)] == []


def exists(line: str) -> bool:
    """Whether a command line's group, command and options are ours; arguments are not judged."""
    command: Any = cli
    words = shlex.split(line.replace("'", ""), comments=True)
    while words and isinstance(command, click.Group):
        if words[0].startswith("-"):
            own = {name for parameter in command.params for name in parameter.opts}
            return words[0] in ("--help", "-h", "--version") or words[0] in own
        if words[0] not in command.commands:
            return False
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    return all(word.partition("=")[0] in known for word in words if word.startswith("--"))


@pytest.mark.parametrize("file", ALL, ids=name_of)
def test_every_make_target_in_a_document_exists(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`?\bmake ([a-z-]+)`", file.read_text("utf-8"))) <= targets


def test_the_first_configuration_names_every_kind_of_section() -> None:
    for section in ("[connections.", "[stores.", "[web]", "[database]", "[broker]", "[redis]"):
        assert section in FIRST_CONFIGURATION
