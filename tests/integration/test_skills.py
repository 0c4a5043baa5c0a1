"""Skills, their files and prompts over both transports, as clients of three protocol revisions see them."""

import base64
import hashlib
import itertools
import json
import subprocess
from collections.abc import Iterator

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import ERAS, MODERN, Driver, Message, command, environment, serving_stdio
from tests.integration.http_driver import serving_http
from tests.integration.server_process import run_to_end
from tests.runbooks import RUNBOOKS

EXTENSION = "io.modelcontextprotocol/skills"
INVALID_PARAMS = -32602
UNKNOWN_RESOURCE = -32002
"""The code before 2026-07-28."""
NOT_SERVED = [
    ("skills/get", "skill://nothing/SKILL.md"),
    ("skills/get", "skill://bring-in-new-machines/references/statuses.md"),
    ("resources/read", "skill://bring-in-new-machines"),
    ("resources/read", "skill://bring-in-new-machines/../deploy-a-group/SKILL.md"),
    ("resources/read", "file:///etc/passwd"),
    ("resources/directory/read", "skill://bring-in-new-machines/SKILL.md"),
    ("resources/directory/read", "skill://bring-in"),
    ("resources/directory/read", "skill://"),
]


@pytest.fixture(
    scope="module",
    params=itertools.product((serving_stdio, serving_http), ERAS),
    ids=lambda param: f"{param[0].__name__}-{param[1]}",
)
def server(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """A server over each transport, with a client of each revision. The tests only read, so they share it."""
    serving_mcp, revision = request.param
    region = demo_region()
    with (
        serving(region) as url,
        serving_mcp(
            url, region.api_key, revision, MAAS_MCP_PLUGINS_ALLOW="commission,configure,deploy,inventory"
        ) as driver,
    ):
        yield driver


def refusal(server: Driver, method: str, params: Message) -> Message:
    """The error of a request."""
    error: Message = server.wait(server.start_request(method, params))["error"]
    return error


def test_the_extension_is_advertised_with_resources_and_prompts(server: Driver) -> None:
    if server.revision == MODERN:
        capabilities = server.request("server/discover")["capabilities"]
    else:
        capabilities = server.received[0]["result"]["capabilities"]

    assert capabilities["extensions"][EXTENSION] == {"directoryRead": True}
    assert "resources" in capabilities
    assert "prompts" in capabilities


def test_every_skill_is_listed_and_each_file_is_what_its_entry_says(server: Driver) -> None:
    listed = server.request("skills/list")

    assert [entry["frontmatter"]["name"] for entry in listed["skills"]] == RUNBOOKS
    assert "nextCursor" not in listed
    listed_resources = server.request("resources/list")["resources"]
    resources = {each["uri"]: each for each in listed_resources if each["uri"].startswith("skill:")}
    for entry in listed["skills"]:
        assert server.request("skills/get", {"uri": entry["uri"]})["skill"] == entry
        assert resources[entry["uri"]]["name"] == entry["frontmatter"]["name"]
        assert resources[entry["uri"]]["description"] == entry["frontmatter"]["description"]
        for file in entry["resources"]:
            (content,) = server.request("resources/read", {"uri": file["uri"]})["contents"]
            data = content["text"].encode() if "text" in content else base64.b64decode(content["blob"])
            assert len(data) == file["size"] == resources[file["uri"]]["size"]
            assert f"sha256:{hashlib.sha256(data).hexdigest()}" == file["digest"]
            assert content["mimeType"] == "text/markdown"
    assert len(resources) == sum(len(entry["resources"]) for entry in listed["skills"])
    if server.revision == MODERN:
        assert (listed["ttlMs"], listed["cacheScope"]) == (60_000, "private")


def test_a_folder_lists_its_files_and_folders(server: Driver) -> None:
    folder = "skill://bring-in-new-machines"

    shown = server.request("resources/directory/read", {"uri": folder})["resources"]
    below = server.request("resources/directory/read", {"uri": f"{folder}/references"})["resources"]

    assert [(each["uri"], each["mimeType"]) for each in shown] == [
        (f"{folder}/SKILL.md", "text/markdown"),
        (f"{folder}/references", "inode/directory"),
    ]
    assert [each["uri"] for each in below] == [f"{folder}/references/statuses.md"]


def test_a_uri_that_is_not_served_is_refused(server: Driver) -> None:
    for method, uri in NOT_SERVED:
        error = refusal(server, method, {"uri": uri})
        early = method == "resources/read" and server.revision != MODERN
        assert error["code"] == (UNKNOWN_RESOURCE if early else INVALID_PARAMS), uri
        assert "Pass a URI that " in error["message"], uri


def test_an_unknown_cursor_is_refused(server: Driver) -> None:
    for method in ("skills/list", "resources/list", "prompts/list"):
        for cursor in ("-1", "x", "50", "", "9" * 5000):
            assert refusal(server, method, {"cursor": cursor})["code"] == INVALID_PARAMS, (method, cursor[:9])


def test_every_skill_is_a_prompt_with_its_arguments(server: Driver) -> None:
    prompts = {each["name"]: each for each in server.request("prompts/list")["prompts"]}

    assert list(prompts) == RUNBOOKS
    disk = prompts["replace-a-disk"]
    assert [(each["name"], each["required"]) for each in disk["arguments"]] == [("system_id", False), ("disk", False)]
    got = server.request("prompts/get", {"name": "replace-a-disk", "arguments": {"system_id": "7xneda", "disk": ""}})
    (message,) = got["messages"]
    text = message["content"]["text"]
    assert text.startswith('Follow this runbook with these values from the user: {"system_id": "7xneda"}\n\n# Replace')
    assert "---" not in text.splitlines()


def test_a_prompt_includes_the_other_files_of_the_skill(server: Driver) -> None:
    got = server.request("prompts/get", {"name": "bring-in-new-machines"})

    first, second = (message["content"] for message in got["messages"])
    assert first["text"].startswith("# Bring in new machines")
    assert second["resource"]["uri"] == "skill://bring-in-new-machines/references/statuses.md"
    assert second["resource"]["text"].startswith("# What each status")


def test_a_wrong_prompt_is_refused_with_what_is_expected(server: Driver) -> None:
    unknown = refusal(server, "prompts/get", {"name": "nothing"})
    wrong = refusal(server, "prompts/get", {"name": "replace-a-disk", "arguments": {"host": "x"}})

    assert (unknown["code"], wrong["code"]) == (INVALID_PARAMS, INVALID_PARAMS)
    assert "Unknown prompt: nothing." in unknown["message"]
    assert "unknown: host" in wrong["message"]


def test_a_skill_whose_tools_are_not_served_is_left_out(region: SimulatedRegion, url: str) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_PLUGINS_BLOCK="inventory") as server:
        assert server.request("skills/list")["skills"] == []
        assert server.request("prompts/list")["prompts"] == []
        assert "The skill replace-a-disk is left out: no plugin has maas_get_machine." in server.log()


def test_a_server_without_skills_lists_none(region: SimulatedRegion, url: str) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_PLUGINS_ALLOW="inventory") as server:
        assert server.request("skills/list")["skills"] == []
        assert server.request("prompts/list")["prompts"] == []


def test_no_yaml_is_imported_before_a_client_asks_for_skills(region: SimulatedRegion, url: str) -> None:
    code = (
        "import sys; from maas_mcp.plugins.registry import load_registry; from maas_mcp.server.app import build; "
        "from maas_mcp.settings import Settings; from maas_mcp.calls.connections import Connections; "
        "build(load_registry(), Settings.load(), Connections()); print('yaml' in sys.modules)"
    )
    python = command()[0].replace("maas-mcp", "python")

    done = subprocess.run(
        [python, "-c", code], env=environment(url, region.api_key), capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"


def test_plugins_lists_the_skills_of_each_plugin(region: SimulatedRegion, url: str) -> None:
    done = run_to_end(
        command("plugins", "--json"),
        environment(url, region.api_key, MAAS_MCP_PLUGINS_ALLOW="commission,configure,deploy,inventory"),
    )

    skills = {each["name"]: each["skills"] for each in json.loads(done.stdout) if each["state"] == "loaded"}
    assert sorted(name for names in skills.values() for name in names) == RUNBOOKS
    assert skills["inventory"] == []
