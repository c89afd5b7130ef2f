"""The house rules that no import contract can say."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from middleware import ports, routes
from middleware.broker import celery_app
from middleware.payments import asking
from middleware.settings import LANES, Settings

ROOT = Path(__file__).parents[1]
FLOORS = ("tasks", "middleware", "mappings")
SOURCES = sorted(file for floor in FLOORS for file in (ROOT / floor).rglob("*.py"))


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def calls_in(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the last part of the called name."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def test_the_import_contracts_hold() -> None:
    """In a process of its own: the linter changes the logging of the one that it runs in."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", done.stdout)


def test_every_ask_is_an_operation_and_every_operation_is_asked_for() -> None:
    asked = set(asking.OPERATIONS.values())  # what people ask for at payment providers
    for file in (*(ROOT / "middleware" / "flows").glob("*.py"), ROOT / "middleware" / "work.py"):
        for name, call in calls_in(file):
            if name == "Ask":
                operation = call.args[1]
                assert isinstance(operation, ast.Constant), f"{name_of(file)}:{call.lineno}: an operation is a literal"
                asked.add(operation.value)
    assert asked == set(ports.OPERATIONS)


def test_every_operation_and_every_look_up_is_a_role() -> None:
    for operation in ports.OPERATIONS.values():
        assert ports.ROLES[operation.name] is operation.role
        assert not operation.find or operation.find in ports.ROLES
    assert set(routes.OUTCOMES) <= set(ports.OPERATIONS)


def registered() -> dict[str, ast.FunctionDef]:
    found = {}
    for node in tree(ROOT / "tasks" / "jobs.py").body:
        for decorator in getattr(node, "decorator_list", []):
            found.update({keyword.value.value: node for keyword in decorator.keywords if keyword.arg == "name"})
    return found


def test_every_doorbell_is_a_task() -> None:
    rung = set()
    for file in SOURCES:
        for name, call in calls_in(file):
            if name == "ring" and call.args and isinstance(call.args[0], ast.Constant):
                rung.add(f"waybill.{call.args[0].value}")
    beat = celery_app(Settings()).conf.beat_schedule
    named = rung | {entry["task"] for entry in beat.values()}
    assert named == set(registered())
    assert {entry["options"]["queue"] for entry in beat.values()} <= set(LANES)


def test_a_task_is_at_most_ten_lines() -> None:
    for name, task in registered().items():
        assert (task.end_lineno or 0) - task.lineno < 10, name


def test_only_the_settings_read_the_environment() -> None:
    used = set()
    for file in SOURCES:
        for node in ast.walk(tree(file)):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("environ", "environb", "getenv", "putenv")
                and getattr(node.value, "id", "") == "os"
            ):
                used.add(name_of(file))
            if isinstance(node, ast.ImportFrom) and node.module == "os" and {alias.name for alias in node.names} & {"environ", "getenv"}:
                used.add(name_of(file))
    assert used == {"middleware/settings.py"}


def test_all_outgoing_traffic_leaves_through_one_client() -> None:
    """`requests` is used in the client, in the transport under it, and by the simulators, which are not Waybill."""
    allowed = ("middleware/connectors/_http.py", "middleware/wire/", "middleware/simulators/", "middleware/demo/")
    modules = {"requests", "urllib3", "httpx", "aiohttp", "http.client", "urllib.request", "socket"}
    for file in SOURCES:
        for node in ast.walk(tree(file)):
            names = (
                {alias.name for alias in node.names}
                if isinstance(node, ast.Import)
                else {node.module}
                if isinstance(node, ast.ImportFrom)
                else set()
            )
            assert not names & modules or name_of(file).startswith(allowed), f"{name_of(file)} imports {names & modules}"


def test_nothing_is_left_to_do_in_the_source() -> None:
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")
    found = [
        name_of(file)
        for file in (*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").rglob("*.md"))
        if marks.search(file.read_text("utf-8"))
    ]
    assert found == []


def test_every_file_says_in_one_sentence_what_it_is() -> None:
    for file in SOURCES:
        if "migrations" not in file.parts:
            assert ast.get_docstring(tree(file)), name_of(file)


def test_no_module_name_says_nothing() -> None:
    assert [name_of(file) for file in SOURCES if re.search(r"util|helper|manager|abstract|impl", file.stem)] == []


def test_no_file_names_a_machine() -> None:
    """Paths of one machine and hosts of registries have no place in what others will run."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git working tree")
    places = re.compile(r"/(?:work|opt|home|root|Users)/\w|pypi\.org|files\.pythonhosted|registry\.npmjs")
    texts = (".py", ".md", ".toml", ".cfg", ".txt", ".html", ".css", "Makefile", "run", ".sh", ".env", ".service", ".in")
    found = []
    for name in listed.stdout.splitlines():
        file = ROOT / name
        if name.endswith(texts) and file.is_file() and name != "tests/test_house.py" and places.search(file.read_text("utf-8")):
            found.append(name)
    assert found == []


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy without network."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE", *FLOORS):
        subprocess.run(["cp", "-r", str(ROOT / name), str(copy / name)], check=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--quiet",
        "--wheel-dir",
        str(folder),
        str(copy),
    ]
    try:
        import setuptools
    except ModuleNotFoundError:
        pytest.skip("setuptools is not installed here; the wheel cannot be built without network")
    if int(setuptools.__version__.partition(".")[0]) < 77:
        pytest.skip(f"setuptools {setuptools.__version__} is too old to build the wheel without network (77 is needed)")
    built = subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    )
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_three_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(FLOORS)


def test_the_wheel_holds_the_pages_and_the_migrations(wheel: zipfile.ZipFile) -> None:
    data = {name_of(file) for file in (ROOT / "middleware").rglob("*") if file.suffix in (".html", ".css", ".mako")}
    assert data
    assert data <= set(wheel.namelist())
    assert {name_of(file) for file in SOURCES} <= set(wheel.namelist())


def test_the_wheel_cannot_be_uploaded_by_mistake(wheel: zipfile.ZipFile) -> None:
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
    assert "Classifier: Private :: Do Not Upload" in metadata
    assert "License-Expression: Apache-2.0" in metadata
