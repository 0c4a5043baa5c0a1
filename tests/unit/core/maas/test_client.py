"""The MAAS client of plugins: its forms, its models, and its imports."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

import pytest

from maas_mcp.errors import MaasBadRequestError, MaasError, MaasNotFoundError, MaasProtocolError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.forms import FormValue
from maas_mcp.maas.models import ScriptSetName
from maas_mcp.maas.reading import JSON
from maas_mcp.maas.statuses import MachineStatus

pytestmark = pytest.mark.anyio

MACHINE = {
    "system_id": "7xneda",
    "hostname": "node02",
    "status": 6,
    "status_name": "Deployed",
    "zone": {"name": "default"},
}


@dataclass
class Script:
    """A transport that returns given responses and records the requests."""

    response: JSON = None
    asked: list[tuple[str, str, list[tuple[str, str]], list[tuple[str, str]] | None]] = field(default_factory=list)
    closed: bool = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
        **_options: object,
    ) -> JSON:
        self.asked.append((method, path, list(query), None if form is None else list(form)))
        if isinstance(self.response, MaasError):
            raise self.response
        return self.response

    def once(self) -> "Script":
        return self

    def turn(self, op: str, waiting: Callable[[], None]) -> AbstractAsyncContextManager["Script"]:  # noqa: ARG002
        return nullcontext(self)

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (True, ["true"]),
        (False, ["false"]),
        (None, []),
        (0, ["0"]),
        (1.5, ["1.5"]),
        ("", [""]),
        ("jammy", ["jammy"]),
        (["a", "b"], ["a", "b"]),
        ((), []),
    ],
)
async def test_a_form_value_is_sent_as_maas_reads_it(value: FormValue, sent: list[str]) -> None:
    transport = Script()
    await MaasClient(transport).post_op("machines/7xneda/", "release", erase=value)
    assert transport.asked == [("POST", "machines/7xneda/", [("op", "release")], [("erase", text) for text in sent])]


async def test_an_operation_without_parameters_sends_an_empty_form() -> None:
    transport = Script()
    await MaasClient(transport).post_op("machines/7xneda/", "lock")
    assert transport.asked == [("POST", "machines/7xneda/", [("op", "lock")], [])]


async def test_a_read_operation_is_a_get_with_an_op() -> None:
    transport = Script([])
    client = MaasClient(transport)
    await client.get("subnets/", name="pxe")
    await client.get_op("subnets/1/", "statistics", include_ranges=True)
    assert transport.asked == [
        ("GET", "subnets/", [("name", "pxe")], None),
        ("GET", "subnets/1/", [("op", "statistics"), ("include_ranges", "true")], None),
    ]


async def test_a_machine_is_read_by_its_system_id() -> None:
    transport = Script(MACHINE)
    machine = await MaasClient(transport).machine("7xneda")
    assert (machine.hostname, machine.status, machine.zone) == ("node02", MachineStatus.DEPLOYED, "default")
    assert transport.asked == [("GET", "machines/7xneda/", [], None)]


@pytest.mark.parametrize(
    "system_id", ["", "..", "../users", "7xneda/", "7xneda?op=deploy", "node02.maas", "7XNEDA", "a\n"]
)
async def test_an_invalid_system_id_is_not_found_and_never_sent(system_id: str) -> None:
    transport = Script(MACHINE)
    client = MaasClient(transport)
    with pytest.raises(MaasNotFoundError, match="is not a system id"):
        await client.machine(system_id)
    with pytest.raises(MaasNotFoundError, match="is not a system id"):
        await client.script_set(system_id, ScriptSetName.TESTING)
    assert transport.asked == []


async def test_machines_are_filtered_by_repeated_keys() -> None:
    transport = Script([MACHINE])
    machines = await MaasClient(transport).machines(id=["7xneda", "fyc3ff"], pool=None)
    assert [machine.system_id for machine in machines] == ["7xneda"]
    assert transport.asked == [("GET", "machines/", [("id", "7xneda"), ("id", "fyc3ff")], None)]


async def test_events_come_oldest_first_although_maas_sends_the_newest_first() -> None:
    page = [{"id": n, "node": "7xneda", "level": "INFO", "type": "Deploying"} for n in (9, 7, 8)]
    transport = Script({"count": 3, "events": page})
    events = await MaasClient(transport).events(after=6, ids=["7xneda"], limit=3)
    assert [event.id for event in events] == [7, 8, 9]
    query = [("op", "query"), ("after", "6"), ("id", "7xneda"), ("level", "DEBUG"), ("limit", "3")]
    assert transport.asked == [("GET", "events/", query, None)]


async def test_following_starts_at_the_newest_event() -> None:
    event = {"id": 1144, "node": "7xneda", "level": "DEBUG", "type": "Deploying"}
    assert await MaasClient(Script({"count": 1, "events": [event]})).newest_event_id() == 1144


async def test_an_event_without_a_machine_is_read() -> None:
    transport = Script({"events": [{"id": 7, "node": None, "level": "INFO", "type": "Released"}]})
    assert [event.node for event in await MaasClient(transport).events()] == [""]


async def test_following_a_region_without_events_starts_at_zero() -> None:
    assert await MaasClient(Script({"count": 0, "events": []})).newest_event_id() == 0


async def test_script_output_is_requested_only_on_demand_because_maas_treats_any_value_as_true() -> None:
    transport = Script({"id": 4, "status": 2, "status_name": "Passed", "results": []})
    client = MaasClient(transport)
    await client.script_set("fyc3ff", ScriptSetName.COMMISSIONING)
    await client.script_set("fyc3ff", ScriptSetName.COMMISSIONING, output=True)
    path = "nodes/fyc3ff/results/current-commissioning/"
    assert transport.asked == [("GET", path, [], None), ("GET", path, [("include_output", "true")], None)]


async def test_a_machine_without_a_run_of_a_kind_has_no_script_set() -> None:
    never = MaasBadRequestError("400", maas_says="No current installation script set exists for machine 7xneda.")
    assert await MaasClient(Script(never)).script_set("7xneda", ScriptSetName.INSTALLATION) is None


async def test_any_other_error_for_a_script_set_is_raised() -> None:
    with pytest.raises(MaasBadRequestError, match="bogus"):
        await MaasClient(Script(MaasBadRequestError("bogus", maas_says="Invalid result type name"))).script_set(
            "7xneda", ScriptSetName.INSTALLATION
        )


@pytest.mark.parametrize("response", [None, "hello", [], {"events": 3}])
async def test_a_response_of_the_wrong_type_is_a_protocol_error(response: JSON) -> None:
    with pytest.raises(MaasProtocolError):
        await MaasClient(Script(response)).newest_event_id()
    with pytest.raises(MaasProtocolError):
        await MaasClient(Script(response)).whoami()


async def test_version_and_user_are_read() -> None:
    assert await MaasClient(Script({"version": "3.7.3", "subversion": "", "capabilities": []})).version() == "3.7.3"
    transport = Script({"username": "admin", "is_superuser": True, "email": "admin@example.com"})
    assert (await MaasClient(transport).whoami()).is_superuser
    assert transport.asked == [("GET", "users/", [("op", "whoami")], None)]


async def test_all_clients_of_a_region_read_its_version_once() -> None:
    transport = Script({"version": "3.7.3"})
    maas = MaasClient(transport)
    async with maas.turn() as turn:
        assert await turn.version() == "3.7.3"
    assert await maas.version() == await maas.once().version() == "3.7.3"
    assert len(transport.asked) == 1


async def test_closing_the_client_closes_its_connections() -> None:
    transport = Script()
    await MaasClient(transport).aclose()
    assert transport.closed
