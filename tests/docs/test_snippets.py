"""The snippets of the documentation work and produce the output that is shown."""

import inspect
import json
import re
import shutil
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maas_mcp.errors import MaasMcpError
from maas_mcp.server.http.app import MCP_PATH
from maas_mcp.server.tools import ERROR_META, failure
from maas_mcp.settings import CONFIG_VARIABLE, Settings, variable_name
from maas_mcp.testing import MaasRegion
from maas_simulator import demo_region, serving
from tests.docs.snippets import ROOT, Shell, Snippet, pages, snippets

RESCUE = ROOT / "tests/third_party/maas_mcp_rescue"

LANGUAGES = {"console", "dockerfile", "ini", "json", "nginx", "python", "sh", "text", "toml", "yaml"}
"""``text`` is not code. ``sh`` is never run: it installs something, or needs a client. ``test_deployment.py`` checks
``dockerfile``, ``ini`` and ``nginx``."""

CURL = "\n$ curl "

NOT_RUN_COUNTS = {
    "CONTRIBUTING.md": 1,
    "README.md": 3,
    "docs/how-to/audit.md": 5,
    "docs/how-to/serve-over-http.md": 4,
    "docs/how-to/run-for-a-team.md": 2,
    "docs/how-to/change-the-secret.md": 1,
    "docs/how-to/configure-machines.md": 1,
    "docs/how-to/connect.md": 5,
    "docs/how-to/credentials.md": 5,
    "docs/how-to/find-out-why.md": 1,
    "docs/how-to/follow-a-runbook.md": 1,
    "docs/how-to/observe.md": 3,
    "docs/how-to/keep-maas-keys.md": 3,
    "docs/how-to/oauth-with-keycloak.md": 3,
    "docs/how-to/plan-and-apply.md": 1,
    "docs/how-to/test-your-plugin.md": 1,
    "docs/how-to/try-without-hardware.md": 1,
    "docs/how-to/write-a-plugin.md": 3,
    "docs/tutorial/assistant.md": 4,
    "docs/tutorial/first-deployment.md": 3,
    "simulator/README.md": 1,
}
"""The number of snippets of a page that are not run. Before adding one, check that its reason is valid."""

ALL = [snippet for page in pages() for snippet in snippets(page)]
RUN = [snippet for snippet in ALL if snippet.reason is None]


def snippets_in(*languages: str) -> list[Any]:
    return [pytest.param(snippet, id=snippet.place) for snippet in ALL if snippet.language in languages]


@pytest.fixture
def rescue(tmp_path: Path) -> Path:
    """Create a folder that makes the external plugin appear installed."""
    project = tomllib.loads((RESCUE / "pyproject.toml").read_text())["project"]
    info = tmp_path / "acme_maas_rescue-1.0.0.dist-info"
    info.mkdir()
    requirements = "".join(f"Requires-Dist: {each}\n" for each in project["dependencies"])
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{requirements}"
    )
    groups = project["entry-points"].items()
    (info / "entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in each.items()) for group, each in groups)
    )
    (tmp_path / "acme_rescue").symlink_to(RESCUE / "src/acme_rescue")
    return tmp_path


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Yield a shell with a running region. A page may start another one."""
    region = demo_region(speed=600)
    with serving(region) as url:
        settings = {"MAAS_URL": url, "MAAS_API_KEY": region.api_key}
        monkeypatch.setenv("MAAS_MCP_POLL_INTERVAL", "0.2")
        with Shell(settings) as shell:
            yield shell


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if any(each.language in {"python", "console"} for each in snippets(page))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_snippets_of_a_page_work(
    page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if RESCUE.name in page.read_text(encoding="utf-8"):
        installed = str(request.getfixturevalue("rescue"))
        monkeypatch.setenv("PYTHONPATH", installed)
        monkeypatch.syspath_prepend(installed)
    if CURL in page.read_text(encoding="utf-8") and shutil.which("curl") is None:
        pytest.skip("this page needs curl")
    monkeypatch.chdir(tmp_path)
    for world in (each.text for each in snippets(page) if each.language == "yaml"):
        (tmp_path / world.split()[1]).write_text(world, encoding="utf-8")
    shell: Shell = request.getfixturevalue("shell")
    namespace: dict[str, Any] = {"__name__": "snippet"}
    for snippet in snippets(page):
        if snippet.reason is not None:
            continue
        if snippet.language == "console":
            shell.run(snippet)
        elif snippet.language == "python":
            run_python(snippet, namespace)


def run_python(snippet: Snippet, namespace: dict[str, Any]) -> None:
    """Execute a snippet and the tests that it defines, each with its own region if it needs one."""
    before = set(namespace)
    exec(compile(snippet.text, snippet.place, "exec"), namespace)
    for name in set(namespace) - before:
        if not name.startswith("test_"):
            continue
        if "maas_region" in inspect.signature(namespace[name]).parameters:
            with MaasRegion() as region:
                namespace[name](region)
        else:
            namespace[name]()


def test_every_test_of_the_external_plugin_is_shown() -> None:
    """``tests/third_party`` runs them with the plugin installed. Sphinx fails if one is missing."""
    shown = re.findall(r":pyobject: (test_\w+)", (ROOT / "docs/how-to/test-your-plugin.md").read_text())
    written = [name for file in RESCUE.glob("tests/*.py") for name in re.findall(r"def (test_\w+)", file.read_text())]
    assert sorted(shown) == sorted(written)


def test_snippets_that_are_not_run_are_counted() -> None:
    counts = Counter(snippet.page for snippet in ALL if snippet.reason is not None or snippet.language == "sh")
    assert counts == NOT_RUN_COUNTS


def test_every_snippet_has_a_known_language() -> None:
    assert {snippet.language for snippet in ALL} <= LANGUAGES
    assert not [snippet.place for snippet in ALL if snippet.language == "text" and "$ " in snippet.text]


@pytest.mark.parametrize("snippet", snippets_in("json"))
def test_a_client_configuration_uses_existing_settings(snippet: Snippet) -> None:
    for server in servers(json.loads(snippet.text)):
        assert server["command"] == "maas-mcp"
        assert server["args"] == ["serve"]
        assert set(server["env"]) <= {variable_name(name) for name in Settings.model_fields}


def servers(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in a JSON value that configure a server."""
    if isinstance(value, dict):
        if value.get("command", "npx") != "npx":  # a bridge to HTTP has no settings
            yield value
        for each in value.values():
            yield from servers(each)


def test_every_client_with_a_file_has_a_configuration() -> None:
    shown = Counter(
        snippet.page for snippet in ALL if snippet.language == "json" for _ in servers(json.loads(snippet.text))
    )
    assert shown == {"README.md": 2, "docs/how-to/connect.md": 4}


@pytest.mark.parametrize(
    "snippet", [each for each in snippets_in("json") if each.values[0].page == "docs/how-to/serve-over-http.md"]
)
def test_a_client_over_http_sends_a_token_to_the_path_of_mcp(snippet: Snippet) -> None:
    assert f"https://maas-mcp.example.com:8443{MCP_PATH}" in re.findall(r'"(https://[^"]+)"', snippet.text)
    json.loads(snippet.text)
    assert "Authorization" in snippet.text
    assert "Bearer " in snippet.text


@pytest.mark.parametrize("snippet", snippets_in("toml"))
def test_a_settings_file_can_be_loaded(snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text(snippet.text)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    shown = "https://maas.example.com:5443/MAAS" if "maas_url" in snippet.text else None  # else a part of a file
    assert Settings.load().maas_url == shown


def test_the_error_example_has_the_keys_of_a_real_error() -> None:
    (shown,) = (snippet for snippet in ALL if snippet.language == "json" and snippet.page.endswith("errors.md"))
    meta = failure(MaasMcpError("it failed")).meta
    assert meta is not None
    assert list(json.loads(shown.text)) == list(meta[ERROR_META])


def test_the_readme_has_its_two_commands() -> None:
    shown = {snippet.text.strip() for snippet in ALL if snippet.page == "README.md" and snippet.language == "sh"}
    assert {
        "pip install -r requirements.txt && maas-mcp demo",
        "pip install tox && tox run-parallel --parallel 2",
    } <= shown


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/connect.md", "docs/tutorial/assistant.md"])
def test_claude_code_has_an_option_between_the_variables_and_the_name(page: str) -> None:
    """Otherwise it reads the name as one more variable and rejects it."""
    (shown,) = (snippet.text for snippet in ALL if snippet.page == page and "claude mcp add" in snippet.text)
    words = shown.replace("\\\n", " ").split()
    last = max(at for at, word in enumerate(words) if word == "--env")
    assert words[last + 2 : last + 5] == ["--transport", "stdio", "maas"]
    assert words[last + 5] == "--"
