"""The reference documents everything that exists, and nothing else. Builds the documentation with Sphinx."""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from filelock import FileLock
from pydantic import TypeAdapter

from maas_inventory.informer import loading, resync, session
from maas_inventory.informer.news import RESTING_DELAY, WORKING_DELAY
from maas_inventory.lifespan import InventorySettings
from maas_mcp import api, errors, hookspecs, testing
from maas_mcp.cli import main
from maas_mcp.maas.limits import MAX_CHANGES, MAX_REQUESTS
from maas_mcp.operations import progress
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.watching.cadence import SILENCE_DIVISOR, Cadence
from maas_mcp.operations.watching.event_feed import MAX_BY_ID
from maas_mcp.plugins.discovery import find
from maas_mcp.plugins.polling_choice import POLLING_GROUP
from maas_mcp.plugins.registry import load_registry
from maas_mcp.settings import CONFIG_VARIABLE, Settings, variable_name
from maas_simulator.cli import main as simulator_main
from maas_simulator.control import COMMANDS
from maas_simulator.worlds.world import (
    DiskOfWorld,
    MachinesOfWorld,
    SettingsOfWorld,
    SubnetOfWorld,
    UserOfWorld,
    World,
)
from tests.docs.snippets import ROOT, pages
from tests.own_plugins import OWN_PLUGINS, own_tools
from tests.runbooks import runbooks

pytest.importorskip("sphinx", reason="the documentation needs requirements-dev.txt")
pytest.importorskip("myst_parser", reason="the documentation needs requirements-dev.txt")
pytest.importorskip("furo", reason="the documentation needs requirements-dev.txt")

from tests.house import TIMING


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation with warnings as errors and every reference checked, once for all workers of xdist."""
    folder = tmp_path_factory.getbasetemp()
    target = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "docs"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-E"]
    folders = ["-d", str(target / "doctrees"), str(ROOT / "docs"), str(target / "html")]
    succeeded = target / "succeeded"
    with FileLock(f"{target}.lock"):
        if not succeeded.exists():
            done = subprocess.run([*command, *folders], capture_output=True, text=True, timeout=900, check=False)
            assert done.returncode == 0, done.stderr
            succeeded.touch()
    return target / "html"


@pytest.fixture(scope="session")
def objects(built: Path) -> dict[str, set[str]]:
    """Return the documented objects by kind, from the inventory."""
    from sphinx.util.inventory import InventoryFile  # noqa: PLC0415 - Sphinx may be missing

    inventory = InventoryFile.loads((built / "objects.inv").read_bytes(), uri="")
    return {kind: set(entries) for kind, entries in inventory.data.items()}


@pytest.mark.parametrize("module", [api, testing], ids=lambda module: str(module.__name__))
def test_the_reference_documents_exactly_the_public_names(module: ModuleType, objects: dict[str, set[str]]) -> None:
    documented = {
        name.rpartition(".")[2]
        for kind, names in objects.items()
        for name in names
        if kind.startswith("py:") and re.fullmatch(rf"{re.escape(module.__name__)}\.\w+", name)
    }
    assert documented == set(module.__all__)


def test_every_hook_is_documented_with_its_arguments(objects: dict[str, set[str]], built: Path) -> None:
    hooks = {name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspecs.PROJECT}_spec")}
    documented = {name for name in objects["py:function"] if name.startswith("maas_mcp.hookspecs.")}
    assert documented == {f"maas_mcp.hookspecs.{name}" for name in hooks}
    page = (built / "reference/hooks.html").read_text()
    for name, hook in hooks.items():
        heading = page.partition(f'id="maas_mcp.hookspecs.{name}"')[2].partition("</dt>")[0]
        for argument in inspect.signature(hook).parameters:
            assert f">{argument}<" in heading, name


def test_every_polling_strategy_of_the_core_is_documented(built: Path) -> None:
    included = {found.name for found in find(POLLING_GROUP) if found.distribution == "maas-mcp-core"}
    page = (built / "reference/hooks.html").read_text()
    listed = page.partition('id="polling-strategies"')[2].partition("<dl")[2]
    assert set(re.findall(r"<dt><code[^>]*><span class=\"pre\">([\w-]+)</span>", listed)) == included
    setting = Settings.model_fields["polling"].description
    assert setting
    assert all(name in setting for name in included)


def test_every_setting_is_documented_by_its_variable(objects: dict[str, set[str]]) -> None:
    of_plugins = {
        variable for record in load_registry(allow=OWN_PLUGINS, strict=True).records for variable in record.settings
    }
    assert objects["std:envvar"] == {CONFIG_VARIABLE, *map(variable_name, Settings.model_fields), *of_plugins}


def command_contexts(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """Yield contexts of a command and of all commands below it."""
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below
            yield from command_contexts(below, below.make_context(name, [], parent=context, resilient_parsing=True))


def test_every_command_and_option_is_documented(objects: dict[str, set[str]]) -> None:
    found = set()
    for context in command_contexts(main, main.make_context("maas-mcp", [], resilient_parsing=True)):
        program = context.command_path.replace(" ", "-")
        options = [each for each in context.command.get_params(context) if isinstance(each, click.Option)]
        found |= {f"{program}.{name}" for each in options for name in (*each.opts, *each.secondary_opts)}
    simulator_context = simulator_main.make_context("maas-simulator", [], resilient_parsing=True)
    options = [each for each in simulator_main.get_params(simulator_context) if isinstance(each, click.Option)]
    found |= {f"maas-simulator.{name}" for each in options for name in each.opts}
    assert objects["std:cmdoption"] == found


def test_every_tool_is_documented(objects: dict[str, set[str]], built: Path) -> None:
    tools = own_tools()
    assert objects["std:mcptool"] == set(tools)
    readme = (ROOT / "README.md").read_text()
    for name, tool in tools.items():
        assert f"`{name}`" in readme
        place = f"operations/{name}" if isinstance(tool, LongRunning) else "tools"
        page = (built / f"reference/{place}.html").read_text()
        shown = page.partition(f'id="mcptool-{name}"')[2].partition("<section")[0]
        for field in [*tool.arguments.model_fields, *tool.returns.model_fields]:
            assert f">{field}<" in shown, f"{name}: {field}"


def test_every_runbook_is_documented_with_its_arguments(built: Path) -> None:
    page = (built / "how-to/follow-a-runbook.html").read_text()
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr")[1:]
    shown = [re.findall(r'<span class="pre">([\w-]+)</span>', row) for row in rows]
    assert shown == [[skill.name, *skill.arguments] for skill in runbooks().values()]


def test_every_control_command_of_the_simulator_is_documented_with_its_fields(built: Path) -> None:
    page = (built / "reference/simulator.html").read_text()
    headings = re.findall(r"<h3>(.*?)<a", page)
    shown = [re.sub(r"<[^>]+>", "", heading) for heading in headings]
    assert shown == [f"{command.method} {command.path}" for command in COMMANDS]
    for command in COMMANDS:
        for field in TypeAdapter(command.takes).json_schema().get("properties", {}):
            assert f">{field}<" in page, f"{command.method} {command.path}: {field}"


def test_every_key_of_a_world_file_is_documented(built: Path) -> None:
    page = (built / "reference/simulator.html").read_text().partition('id="world-file"')[2]
    for model in (World, MachinesOfWorld, SubnetOfWorld, UserOfWorld, DiskOfWorld, SettingsOfWorld):
        for field, info in model.model_fields.items():
            assert f">{field}<" in page, f"{model.__name__}: {field}"
            assert info.description, f"{model.__name__}: {field}"


def test_the_drawn_error_tree_matches_the_classes() -> None:
    drawn: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r" {4}(?P<branches>[ │├└─]*)(?P<name>[A-Z]\w+)(?: |$)", line)
        if match:
            depth = len(match["branches"]) // 4
            del above[depth:]
            drawn[match["name"]] = above[-1] if above else None
            above.append(match["name"])
    defined = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert drawn == {
        each.__name__: each.__base__.__name__ if each.__base__ not in (Exception, None) else None for each in defined
    }


def test_every_link_between_files_has_a_target() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*pages(), ROOT / "CHANGELOG.md", ROOT / "changes/README.md"]
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_readme_has_at_most_85_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 85


@pytest.mark.parametrize(
    ("page", "statement", "is_true"),
    [
        ("following", "within 60 seconds of its last read", Cadence().reconcile == 60),
        ("following", "Up to 50 machines", MAX_BY_ID == 50),
        ("following", "younger than ten seconds", Cadence().overlap == 10),
        ("following", "every twelve seconds", Cadence().scripts == 12),
        (
            "following",
            "an eighth of the silence and nine seconds at most",
            (SILENCE_DIVISOR, Cadence().slowest) == (8, 9),
        ),
        ("following", "at most four requests to MAAS in progress", MAX_REQUESTS == 4),
        ("following", "at most two of the four", MAX_CHANGES == 2),
        ("following", "within a minute, MAAS has taken the request", TIMING.start_grace == 60),
        ("following", "at least two seconds for MAAS's answer", TIMING.refusal_window == 2),
        ("following", "300 by default", Settings.model_fields["outage_limit"].default == 300),
        ("inventory", "After 15 minutes without a question", session.UNUSED_LIMIT == 900),
        ("inventory", "polled every 15 seconds", session.POLL_INTERVAL == 15),
        ("inventory", "waits for it for up to 15 minutes", session.LONG_PATIENCE == 900),
        ("inventory", "within a second, or within five", (session.OWN_DELAY, session.MARKED_PAUSE) == (0.5, 4.0)),
        ("inventory", "within 20 seconds more", (WORKING_DELAY, RESTING_DELAY) == (20, 3)),
        ("inventory", "answers in about six seconds", loading.REQUEST_SECONDS == 6),
        (
            "inventory",
            "by id, about 400 in a request",
            resync.fits(["4y3h7n"] * 400) and not resync.fits(["4y3h7n"] * 420),
        ),
        ("inventory", "are read four times as often", resync.SHOWN_FACTOR == 4),
        ("inventory", "five and a half minutes", resync.Resync(0.05).round_seconds(10) == 330),
        ("inventory", "Default: 0.05.", InventorySettings().resync_share == 0.05),
        ("progress", "After ten seconds without news", progress.HEARTBEAT == 10),
        ("progress", "at most four times a second", progress.MINIMUM_GAP == 0.25),
        ("progress", "each send has a limit of two seconds", progress.SEND_LIMIT == 2),
        ("progress", "a ten-thousandth of the rest", progress.SMALLEST_STEP == 1e-4),
    ],
)
def test_a_number_in_an_explanation_matches_the_code(page: str, statement: str, *, is_true: bool) -> None:
    text = " ".join((ROOT / f"docs/explanation/{page}.md").read_text().split())
    assert statement in text
    assert is_true
