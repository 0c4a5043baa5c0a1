"""Invalid JSON from MAAS: it is named, hides no other entry, and never makes a dangerous action look safe."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.errors import MaasProtocolError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import UNKNOWN_OWNER, UNREADABLE_STATUS, Event, Machine, ScriptResult, ScriptSet, User
from maas_mcp.maas.reading import JSON, MaasModel
from maas_mcp.maas.statuses import MachineStatus
from tests.odd import json_values
from tests.unit.core.maas.test_client import MACHINE, Script

pytestmark = pytest.mark.anyio

OTHER = {**MACHINE, "system_id": "fyc3ff", "hostname": "node03"}
EVENT = {"id": 7, "node": "7xneda", "level": "INFO", "type": "Deploying"}
SCRIPT = {"id": 1, "name": "smartctl-validate", "status": 2, "status_name": "Passed"}

NEEDED: list[tuple[type[MaasModel], dict[str, JSON], set[str]]] = [
    (Machine, MACHINE, {"system_id", "status"}),
    (Event, EVENT, {"id"}),
    (ScriptResult, SCRIPT, set()),
    (ScriptSet, {"id": 1, "results": [SCRIPT]}, {"id"}),
    (User, {"username": "kim"}, {"username"}),
]


def test_a_machine_requires_only_its_id_and_status() -> None:
    needed = [
        (model, {name for name, field in model.model_fields.items() if field.is_required()}) for model, _, _ in NEEDED
    ]
    assert needed == [(model, names) for model, _, names in NEEDED]


@given(st.sampled_from(NEEDED), st.data())
def test_any_json_in_an_optional_field_can_be_read_and_shown(
    case: tuple[type[MaasModel], dict[str, JSON], set[str]], data: st.DataObject
) -> None:
    model, good, needed = case
    odd = data.draw(st.dictionaries(st.sampled_from(sorted(set(model.model_fields) - needed)), json_values))
    read = model.from_response({**good, **odd})
    assert {name: getattr(read, name) for name in needed} == {name: good[name] for name in needed}
    assert set(read.unreadable) <= set(odd)
    assert model.model_validate_json(read.model_dump_json()) is not None, "it is JSON again: no NaN, no infinity"


@given(st.dictionaries(st.sampled_from(sorted(Machine.model_fields)), json_values), st.integers(0, 2))
def test_any_json_in_one_machine_never_hides_the_others(odd: dict[str, JSON], place: int) -> None:
    response: list[JSON] = [MACHINE, OTHER]
    response.insert(place, {"system_id": "odd", "hostname": "node09", "status": 4, **odd})
    found = Machine.list_from_response(response)
    assert [each for each in found if each.hostname in ("node02", "node03")][:2]
    assert found.total == 3
    assert {"7xneda", "fyc3ff"} <= {each.system_id for each in found}


@given(st.lists(json_values, max_size=4))
def test_other_entries_of_a_list_never_hide_a_machine(others: list[JSON]) -> None:
    found = Machine.list_from_response([*others, MACHINE])
    assert found[-1].hostname == "node02"
    assert found.total == len(others) + 1


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("storage", "120.0", 120.0),
        ("storage", [], 0.0),
        ("storage", float("nan"), 0.0),
        ("storage", 10**400, 0.0),
        ("memory", 2048.7, 2048),
        ("memory", "2048", 2048),
        ("memory", True, 0),
        ("memory", float("inf"), 0),
        ("tag_names", None, []),
        ("tag_names", ["gpu", None, {}, "ssd"], ["gpu", "ssd"]),
        ("tag_names", "gpu", []),
        ("ip_addresses", [None], []),
        ("zone", None, None),
        ("zone", {"name": 5}, None),
        ("zone", {}, None),
        ("owner", {"name": "kim"}, UNKNOWN_OWNER),
        ("hostname", None, "7xneda"),
        ("status_name", None, "Deployed"),
        ("power_state", None, "unknown"),
        ("description", None, ""),
        ("current_testing_result_id", "soon", None),
        ("current_testing_result_id", True, None),
    ],
)
def test_the_readable_parts_of_an_invalid_value_are_kept(field: str, value: JSON, read: Any) -> None:
    assert getattr(Machine.from_response({**MACHINE, field: value}), field) == read


def test_an_unknown_status_has_a_display_name() -> None:
    machine = Machine.from_response({**MACHINE, "status": 99, "status_name": None})
    assert (machine.status, machine.status_name) == (99, "status 99")


@pytest.mark.parametrize("value", [None, "", [], {}, "perhaps", 2, -1, 10**400])
def test_an_unreadable_guard_counts_as_set(value: JSON) -> None:
    machine = Machine.from_response({**MACHINE, "locked": value, "ephemeral_deploy": value})
    assert machine.locked
    assert machine.why_locked == "is treated as locked, because MAAS's `locked` is unreadable"
    assert machine.ephemeral_deploy
    assert machine.unreadable == ("locked", "ephemeral_deploy")


@pytest.mark.parametrize("value", [True, 1, "true"])
def test_a_readable_guard_has_maas_value(value: JSON) -> None:
    machine = Machine.from_response({**MACHINE, "locked": value, "ephemeral_deploy": False})
    assert (machine.locked, machine.ephemeral_deploy, machine.unreadable) == (True, False, ())
    assert machine.why_locked == "is locked"


def test_an_empty_field_does_not_count_as_unreadable() -> None:
    usual = dict.fromkeys(["owner", "zone", "pod", "description", "osystem", "error_description", "hwe_kernel"])
    assert Machine.from_response({**MACHINE, **usual}).unreadable == ()


@pytest.mark.parametrize("status", [None, True, "Deployed", 6.5, {}, []])
def test_a_machine_without_a_readable_status_is_left_out_and_named(status: JSON) -> None:
    found = Machine.list_from_response([MACHINE, {**OTHER, "status": status}])
    assert [each.hostname for each in found] == ["node02"]
    assert [str(each) for each in found.left_out] == ["fyc3ff (node03): `status` cannot be read"]
    assert found.may_hide("fyc3ff")
    assert not found.may_hide("7xneda")


@pytest.mark.parametrize("system_id", [None, "", "Node 3", 5, []])
def test_a_machine_without_a_readable_id_may_be_any(system_id: JSON) -> None:
    found = Machine.list_from_response([MACHINE, {**OTHER, "system_id": system_id, "status": None}, None])
    assert [str(each) for each in found.left_out] == [
        "node03: `system_id`, `status` cannot be read",
        "entry 3: it cannot be read",
    ]
    assert found.may_hide("zzzzzz")


def test_an_error_names_the_invalid_fields_without_their_values() -> None:
    with pytest.raises(MaasProtocolError) as caught:
        Machine.from_response({"system_id": "7xneda", "hostname": {"hunter2": 1}, "status": "hunter2"})
    assert "status (" in caught.value.message
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint == "Check this machine in the MAAS UI. Other machines are not affected."
    assert caught.value.__context__ is None


def test_json_without_a_machine_hints_at_the_regions_url() -> None:
    with pytest.raises(MaasProtocolError) as caught:
        Machine.from_response({"message": "Not here"})
    assert caught.value.hint == "Check that MAAS_URL is a MAAS region of version 3.3 or newer."


def test_a_script_with_an_invalid_status_is_shown_with_the_others() -> None:
    scripts = ScriptSet.from_response({"id": 4, "status": [], "results": [SCRIPT, {**SCRIPT, "status": None}, None]})
    assert [(each.name, each.status) for each in scripts.results] == [
        ("smartctl-validate", 2),
        ("smartctl-validate", UNREADABLE_STATUS),
    ]
    assert scripts.unreadable == ("status", "results")


@pytest.mark.parametrize("start", ["soon", None, "", {}, float("nan"), 10**400])
def test_an_invalid_start_time_is_unknown(start: JSON) -> None:
    assert ScriptResult.from_response({**SCRIPT, "starttime": start}).starttime is None


async def test_an_invalid_event_does_not_hide_the_others() -> None:
    page = [{**EVENT, "id": 9, "level": None, "type": 5}, None, {**EVENT, "id": None}, EVENT]
    events = await MaasClient(Script({"events": page})).events()
    assert [(event.id, event.type) for event in events] == [(7, "Deploying"), (9, "")]


async def test_invalid_events_count_towards_a_full_page() -> None:
    client = MaasClient(Script({"events": [EVENT, {**EVENT, "id": "x"}]}))
    assert (await client.event_listing(after=None, ids=(), level="DEBUG", limit=2)).total == 2


@pytest.mark.parametrize("number", [2**63, -1, True, None])
async def test_an_impossible_event_id_does_not_hide_later_events(number: JSON) -> None:
    assert await MaasClient(Script({"events": [{**EVENT, "id": number}, EVENT]})).newest_event_id() == 7


async def test_following_does_not_start_at_the_first_event_if_the_newest_is_unreadable() -> None:
    with pytest.raises(MaasProtocolError, match="None of MAAS's newest 1 events has a readable id"):
        await MaasClient(Script({"events": [None]})).newest_event_id()


async def test_a_list_of_machines_names_the_missing_ones() -> None:
    client = MaasClient(Script([MACHINE, {**OTHER, "status": None}]))
    assert [each.hostname for each in await client.machines()] == ["node02"]
    assert [each.identity for each in (await client.machine_listing()).left_out] == ["fyc3ff"]


async def test_a_user_with_an_unreadable_role_is_not_an_administrator() -> None:
    assert not (await MaasClient(Script({"username": "kim", "is_superuser": None})).whoami()).is_superuser


@given(st.builds(dict, created=json_values, description=json_values, type=json_values))
def test_the_properties_of_an_invalid_event_never_raise(odd: dict[str, JSON]) -> None:
    event = Event.from_response({**EVENT, **odd})
    assert event.at is None or event.at > 0
    assert event.text is not None
    assert event.status_change in (None, event.status_change)
    assert MachineStatus.from_display(event.type) is None


@pytest.mark.parametrize("kind", ["storage", "interface", [], {}, None, 7])
@pytest.mark.parametrize("value", [{"name": "sda"}, {"name": 7}, {"name": ""}, "sda", None, []])
def test_a_script_with_unreadable_parameters_has_no_target(kind: Any, value: Any) -> None:
    script = ScriptResult.model_validate(
        {
            "id": 1,
            "name": "x",
            "status": 2,
            "status_name": "Passed",
            "parameters": {"p": {"type": kind, "value": value}},
        }
    )

    assert script.target == ("sda" if kind in ("storage", "interface") and value == {"name": "sda"} else None)


@pytest.mark.parametrize("parameters", [None, [], "x", {"p": None}, {"p": []}, 3])
def test_a_script_with_unknown_parameters_is_shown(parameters: Any) -> None:
    script = ScriptResult.model_validate(
        {"id": 1, "name": "x", "status": 2, "status_name": "", "parameters": parameters}
    )

    assert (script.name, script.target) == ("x", None)
