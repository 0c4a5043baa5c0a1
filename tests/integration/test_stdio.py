"""The main tools of a real server process, as clients of three protocol revisions see them."""

import pytest

from maas_simulator import SimulatedRegion
from tests.integration.conftest import SPEED
from tests.integration.driver import (
    MODERN,
    Driver,
    Message,
    advance_and_await,
    advance_to,
    check_requests_stop,
    eventually,
    serving_stdio,
)

VISIBLE_MILESTONES = ("Deploying", "Performing PXE boot", "Installing OS")
"""Milestones of a deployment. The client receives each as its own message if MAAS stays there for a moment."""


def error_text(result: Message) -> str:
    assert result["isError"] is True, result
    text: str = result["content"][0]["text"]
    return text


def posts(region: SimulatedRegion) -> list[str]:
    return [f"{each.op} {each.path}" for each in region.requests if each.method == "POST"]


def test_the_tools_are_listed_with_their_schemas(server: Driver) -> None:
    tools = {tool["name"]: tool for tool in server.request("tools/list")["tools"]}

    assert len(tools) == 41
    assert list(tools)[:3] == ["maas_list_machines", "maas_get_machine", "maas_deploy_machine"]
    deploy = tools["maas_deploy_machine"]
    assert deploy["inputSchema"]["required"] == ["system_id"]
    assert ("_meta" in deploy["inputSchema"]["properties"]) is (server.revision == "2024-11-05")
    if server.revision != "2024-11-05":  # this revision has neither output schemas nor annotations
        result = deploy["outputSchema"]["properties"]["result"]
        assert "ip_addresses" in result["properties"]
        assert deploy["annotations"]["destructiveHint"] is True
        assert tools["maas_list_machines"]["annotations"]["readOnlyHint"] is True


@pytest.mark.parametrize("token", ["a-string", 7, 0, ""])
def test_a_deploy_shows_the_milestones_of_maas_and_ends_with_a_result(
    server: Driver, region: SimulatedRegion, token: str | int
) -> None:
    region.set_speed(0)
    machine = region.machine("node01")
    call = server.start_call("maas_deploy_machine", token, system_id=machine.system_id, distro_series="noble")
    advance_and_await(server, region, "node01", *VISIBLE_MILESTONES)
    region.set_speed(SPEED)

    result = server.wait(call)["result"]
    assert not result.get("isError"), result
    assert "node01 is deployed with ubuntu/noble at 10." in result["content"][0]["text"]
    if server.revision != "2024-11-05":
        assert result["structuredContent"]["state"] == "succeeded"
        assert result["structuredContent"]["result"]["status_name"] == "Deployed"
    reported = server.progress(token)
    assert len(reported) == len(server.progress())
    values = [each["progress"] for each in reported]
    assert values == sorted(set(values))
    assert values[-1] == 1.0
    assert all(value < 1.0 for value in values[:-1])
    assert all(each["total"] == 1.0 and each["message"] for each in reported)
    assert list(dict.fromkeys(each["message"] for each in reported if each["message"] in VISIBLE_MILESTONES)) == list(
        VISIBLE_MILESTONES
    )
    assert posts(region) == [f"deploy /MAAS/api/2.0/machines/{machine.system_id}/"]
    assert server.received[-1].get("id") == call, "nothing follows the response"


def test_without_a_token_there_is_no_progress(server: Driver, region: SimulatedRegion) -> None:
    result = server.call("maas_deploy_machine", system_id=region.machine("node01").system_id)

    assert not result.get("isError"), result
    assert server.progress() == []


class TestProgressTokenInTheArguments:
    """Only for clients of 2024-11-05: with newer clients, the model would invent a token."""

    def test_it_is_used_if_the_request_has_none(self, region: SimulatedRegion, url: str) -> None:
        with serving_stdio(url, region.api_key, "2024-11-05") as server:
            system_id = region.machine("node01").system_id
            region.set_speed(0)
            call = server.start_call("maas_deploy_machine", system_id=system_id, _meta={"progressToken": "early-draft"})
            advance_and_await(server, region, "node01", *VISIBLE_MILESTONES)
            region.set_speed(SPEED)
            server.wait(call)

            assert len(server.progress("early-draft")) == len(server.progress()) > len(VISIBLE_MILESTONES)
            assert server.progress()[-1]["progress"] == 1.0

    def test_the_token_of_the_request_takes_precedence(self, region: SimulatedRegion, url: str) -> None:
        with serving_stdio(url, region.api_key, "2024-11-05") as server:
            given = {"system_id": region.machine("node01").system_id, "_meta": {"progressToken": "argument"}}
            server.wait(server.start_call("maas_deploy_machine", "own", **given))

            assert {each["progressToken"] for each in server.progress()} == {"own"}

    @pytest.mark.parametrize("revision", ["2025-03-26", "2025-06-18", "2025-11-25", MODERN])
    def test_it_is_rejected_from_a_newer_client_and_nothing_starts(
        self, region: SimulatedRegion, url: str, revision: str
    ) -> None:
        with serving_stdio(url, region.api_key, revision) as server:
            given = {"system_id": region.machine("node01").system_id, "_meta": {"progressToken": "made-up"}}
            text = error_text(server.wait(server.start_call("maas_deploy_machine", "own", **given))["result"])

            assert "send a progress token in the request's own `_meta`" in text
            assert server.progress() == []
        assert posts(region) == []


class TestCancelling:
    """A cancellation takes effect at once, at every stage of the operation."""

    @pytest.fixture
    def region(self, still_region: SimulatedRegion) -> SimulatedRegion:
        return still_region

    def check_silence(self, server: Driver, region: SimulatedRegion, call: int, after: int) -> None:
        """Check that requests to MAAS stop, and that the client receives nothing after its first ``after`` messages."""
        check_requests_stop(region)
        assert server.received[after:] == []
        assert server.response(call) is None
        assert not server.call("maas_list_machines").get("isError"), "the server keeps running"

    def test_before_the_post_nothing_is_started(self, server: Driver, region: SimulatedRegion) -> None:
        region.hold(op="machines", before=600)
        call = server.start_call("maas_deploy_machine", 1, system_id=region.machine("node01").system_id)
        eventually(lambda: region.requests, "the read of the machine")

        after = server.cancel(call)

        check_requests_stop(region)
        region.hold(op="machines", before=0)
        self.check_silence(server, region, call, after)
        assert posts(region) == []
        assert region.machine("node01").status_name == "Ready"

    def test_during_the_post_nothing_more_is_sent_to_maas(self, server: Driver, region: SimulatedRegion) -> None:
        region.hold(op="deploy", after=600)
        call = server.start_call("maas_deploy_machine", 1, system_id=region.machine("node01").system_id)
        eventually(lambda: posts(region), "the POST")

        after = server.cancel(call)

        self.check_silence(server, region, call, after)
        assert len(posts(region)) == 1

    def test_between_polls_the_machine_continues_deploying(
        self, region: SimulatedRegion, url: str, revision: str
    ) -> None:
        with serving_stdio(url, region.api_key, revision, MAAS_MCP_POLL_INTERVAL="0.6") as server:
            call = server.start_call("maas_deploy_machine", 1, system_id=region.machine("node01").system_id)
            server.wait_for_progress("Deploying")

            after = server.cancel(call)

            self.check_silence(server, region, call, after)
        assert region.machine("node01").status_name == "Deploying"

    def test_during_a_poll_the_request_is_closed(self, server: Driver, region: SimulatedRegion) -> None:
        call = server.start_call("maas_deploy_machine", 1, system_id=region.machine("node01").system_id)
        server.wait_for_progress("Deploying")
        region.hold(op="events", before=600)
        seen = len(region.requests)
        eventually(lambda: len(region.requests) > seen, "a poll")

        after = server.cancel(call)

        check_requests_stop(region)
        region.hold(op="events", before=0)
        self.check_silence(server, region, call, after)
        assert region.machine("node01").status_name == "Deploying"

    def test_another_deploy_continues(self, server: Driver, region: SimulatedRegion) -> None:
        first = server.start_call("maas_deploy_machine", "first", system_id=region.machine("node01").system_id)
        second = server.start_call("maas_deploy_machine", "second", system_id=region.machine("node02").system_id)
        for host in ("node01", "node02"):
            advance_to(region, host, "Performing PXE boot")

        server.cancel(first)
        advance_and_await(server, region, "node02", "Installing OS")

        assert server.progress()[-1]["progressToken"] == "second"
        assert server.response(first) is server.response(second) is None


@pytest.mark.parametrize("how", ["EOF", "SIGTERM", "SIGINT"])
def test_an_idle_server_stops_at_once(region: SimulatedRegion, url: str, how: str) -> None:
    with serving_stdio(url, region.api_key) as server:
        code, seconds = server.stop(how)

    assert code == 0
    assert seconds < server.prompt


def test_invalid_arguments_are_explained_without_a_request_to_maas(server: Driver, region: SimulatedRegion) -> None:
    text = error_text(server.call("maas_deploy_machine", system_idd="x", distro_series=["jammy"], user_data="s3cret"))

    assert "`system_idd` is not an argument of this tool; did you mean `system_id`?" in text
    assert "`system_id`: field required." in text
    assert "`distro_series`: input should be a valid string." in text
    assert "s3cret" not in text
    assert region.requests == []


def test_the_server_survives_invalid_input(region: SimulatedRegion, url: str) -> None:
    with serving_stdio(url, region.api_key) as server:
        assert server.process.stdin
        server.process.stdin.write(b"this is not JSON\n[1, 2]\n\xff\xfe\n")
        server.process.stdin.flush()

        assert not server.call("maas_list_machines").get("isError")


def test_a_debug_log_of_a_deploy_has_neither_the_key_nor_the_user_data(region: SimulatedRegion, url: str) -> None:
    with serving_stdio(url, region.api_key, MAAS_MCP_LOG_LEVEL="DEBUG") as server:
        system_id = region.machine("node01").system_id
        assert not server.call("maas_deploy_machine", system_id=system_id, user_data="hush-hush").get("isError")
        assert not server.call("maas_list_machines").get("isError")
        server.stop("EOF")
        log = server.log()

    assert "DEBUG" in log
    assert "hush" not in log
    assert not [part for part in region.api_key.split(":")[1:] if part in log]


def test_large_user_data_reaches_maas_and_is_never_shown(region: SimulatedRegion, url: str) -> None:
    secret = "hush" * 300_000
    with serving_stdio(url, region.api_key) as server:
        system_id = region.machine("node01").system_id
        result = server.call("maas_deploy_machine", system_id=system_id, user_data=secret, distro_series="nosuch")

        assert "hush" not in error_text(result)
        server.stop("EOF")
        assert "hush" not in server.log()
    (post,) = [each for each in region.requests if each.op == "deploy"]
    assert post.form["user_data"] == [secret]
