"""The log as JSON: one object in each line, with the ids of the call, and without secrets."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN, Driver, serving_stdio
from tests.integration.http_driver import serving_http
from tests.integration.team import Team

FAILING = '''
import logging

from pydantic import BaseModel

from maas_mcp.api import Tool, ToolContext, hookimpl


class Arguments(BaseModel):
    """None."""


class Leaky(Tool[Arguments, Arguments]):
    """Fail with secrets in the error and in a log record."""

    name = "acme_leak"
    read_only = True

    async def run(self, ctx: ToolContext, args: Arguments) -> Arguments:
        import os

        logging.getLogger("acme").warning("the key is %s", os.environ["MAAS_API_KEY"], extra={"rack": {"id": 7}})
        raise ValueError("Authorization: Bearer maas-mcp_0123456789abcdef of " + os.environ["MAAS_API_KEY"])


@hookimpl
def maas_mcp_tools():
    return [Leaky]
'''


@pytest.fixture
def leaky(tmp_path: Path) -> str:
    """A folder with an installed plugin that writes secrets to the log."""
    (tmp_path / "acme_leak.py").write_text(FAILING)
    info = tmp_path / "acme_leak-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-leak\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[maas_mcp.plugins.v1]\nacme = acme_leak\n")
    return str(tmp_path)


def records(driver: Driver) -> list[dict[str, Any]]:
    """The log so far. Fails if a line is not JSON."""
    return [json.loads(line) for line in driver.log().splitlines()]


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest, region: SimulatedRegion, url: str, leaky: str) -> Iterator[Driver]:
    serving = partial(serving_stdio if request.param == "stdio" else serving_http, url, region.api_key, MODERN)
    with serving(MAAS_MCP_LOG_FORMAT="json", MAAS_MCP_LOG_LEVEL="DEBUG", PYTHONPATH=leaky) as driver:
        yield driver


def test_each_line_is_an_object_with_time_level_logger_and_message(server: Driver) -> None:
    server.call("maas_list_machines")

    found = records(server)

    assert {each["logger"].partition(".")[0] for each in found} >= {"mcp", "httpx"}
    for each in found:
        assert datetime.fromisoformat(each["time"]).utcoffset() is not None
        assert {"level", "logger", "message"} <= each.keys()


def test_the_records_of_a_call_have_its_ids_and_the_others_do_not(server: Driver, region: SimulatedRegion) -> None:
    result = server.call("maas_deploy_machine", system_id=region.machine("node01").system_id)
    operation_id = result["structuredContent"]["operation_id"]
    server.call("maas_get_operation", operation_id=operation_id)
    server.call("maas_list_machines")

    sent = [each for each in records(server) if each["logger"] == "httpx"]

    (deploy,) = [each for each in sent if "op=deploy" in each["message"]]
    assert deploy["tool"] == deploy["operation"] == "maas_deploy_machine"
    assert deploy["system_id"] == region.machine("node01").system_id
    (reading,) = [each for each in sent if each.get("tool") == "maas_get_operation"][:1]
    assert reading["operation_id"] == operation_id
    assert reading["operation"] == "maas_deploy_machine"
    listing = [each for each in sent if each.get("tool") == "maas_list_machines"]
    assert listing
    assert not [each for each in listing if "operation_id" in each]
    assert len({each["request_id"] for each in (deploy, *listing)}) == 2
    polls = [each for each in sent if "events/" in each["message"] and "tool" not in each]
    assert polls, "the watcher's polls belong to no call"


def test_an_exception_is_a_field_and_no_secret_is_logged(server: Driver, region: SimulatedRegion) -> None:
    assert "error" not in server.wait(server.start_call("acme_leak"))

    failure = next(each for each in records(server) if "exception" in each)
    assert failure["exception"].startswith("Traceback")
    assert "ValueError" in failure["exception"]
    assert failure["tool"] == "acme_leak"
    (warning,) = [each for each in records(server) if each["logger"] == "acme"]
    assert warning["message"] == "the key is ***"
    for secret in (*region.api_key.split(":")[2:], "0123456789abcdef"):
        assert secret not in server.log()


def test_the_address_of_a_server_is_logged_as_json_too(region: SimulatedRegion, url: str) -> None:
    with serving_http(url, region.api_key, MODERN, MAAS_MCP_LOG_FORMAT="json") as server:
        (served,) = records(server)
    assert served["level"] == "INFO"
    assert re.fullmatch(r"Serving MCP at http://127\.0\.0\.1:\d+/mcp", served["message"])


def test_records_have_the_principal_and_neither_token_nor_key(
    region: SimulatedRegion, url: str, tmp_path: Path
) -> None:
    team = Team(region, url, tmp_path)
    team.variables |= {"MAAS_MCP_LOG_FORMAT": "json", "MAAS_MCP_LOG_LEVEL": "DEBUG"}
    alice = team.token("new", "admin").splitlines()[0]
    with team.serving(alice) as server:
        server.call("maas_list_machines")
        found, log = records(server), server.log()
    assert "admin" in {each.get("principal") for each in found if each["logger"] == "httpx"}
    assert alice not in log
    assert region.api_key_of("admin").rpartition(":")[2] not in log


def test_text_stays_the_default_and_has_no_secret_either(region: SimulatedRegion, url: str, leaky: str) -> None:
    with serving_stdio(url, region.api_key, PYTHONPATH=leaky) as server:
        assert "error" not in server.wait(server.start_call("acme_leak"))
        log = server.log()
    assert re.search(r"^\d{4}-\d\d-\d\d \S+ WARNING acme: the key is \*\*\*$", log, re.MULTILINE)
    assert region.api_key.rpartition(":")[2] not in log
