"""Editing, tagging, adding and deleting machines, and their power parameters."""

from typing import Any

import pytest
from pydantic import ValidationError

from maas_configure.adding import AddMachine
from maas_configure.deleting import DeleteMachine
from maas_configure.machines import MachineArguments
from maas_configure.power import SetPowerParameters
from maas_configure.tagging import MAX_MACHINES, Tag
from maas_configure.updating import Update
from maas_mcp.api import (
    MaasBadRequestError,
    MaasError,
    MaasPermissionError,
    OperationRefusedError,
)
from maas_simulator import Fault, SimulatedMachine, Status
from tests.configuring import IPMI, PASSWORD
from tests.house import House, client_of

pytestmark = pytest.mark.anyio


def changed(house: House) -> list[tuple[str, str | None, dict[str, list[str]]]]:
    return [(each.method, each.op, each.form) for each in house.region.requests if each.method != "GET"]


async def test_only_the_given_fields_are_sent(house: House) -> None:
    result = await house.call(Update, "node07", zone="az1", description="rack 4")

    assert changed(house) == [("PUT", None, {"zone": ["az1"], "description": ["rack 4"]})]
    assert (result.zone, result.description, result.status_name) == ("az1", "rack 4", "Deployed")
    assert Update().summary(result) == "node07 now has the name node07.maas, the zone az1 and the pool default."


async def test_a_machine_is_renamed(house: House) -> None:
    assert (await house.call(Update, "node01", hostname="Web01")).fqdn.lower() == "web01.maas"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("zone", "nozone", "zone: Select a valid choice"),
        ("pool", "nopool", "pool: Select a valid choice"),
        ("domain", "nodomain", "domain: Unable to find domain nodomain"),
        ("hostname", "node02", "hostname: Node with this Hostname already exists"),
    ],
)
async def test_maas_says_which_field_is_wrong(house: House, field: str, value: str, words: str) -> None:
    with pytest.raises(MaasBadRequestError, match=words) as refusal:
        await house.call(Update, "node01", **{field: value})

    assert list(refusal.value.fields) == [field]


@pytest.mark.parametrize(
    ("tool", "arguments", "hint"),
    [
        (Update, {"zone": "AZ1"}, "MAAS has the zones az1, az2, default."),
        (Update, {"pool": "nopool"}, "MAAS has the resource pools compute, default, storage."),
        (Update, {"domain": "nodomain"}, "MAAS has the domains maas."),
        (SetPowerParameters, {"power_type": "acme"}, "MAAS has the power types amt, apc, dli,"),
        (
            SetPowerParameters,
            {"power_type": "manual", "power_parameters": IPMI},
            "The power type manual has no parameters.",
        ),
        (
            SetPowerParameters,
            {"power_type": "ipmi", "power_parameters": {"power_port": "623"}},
            "The power type ipmi has the parameters power_driver, power_boot_type, power_address (required),",
        ),
    ],
)
async def test_a_refused_value_is_answered_with_those_that_maas_accepts(
    house: House, tool: Any, arguments: dict[str, Any], hint: str
) -> None:
    with pytest.raises(MaasBadRequestError) as refusal:
        await house.call(tool, "node01", **arguments)

    assert (refusal.value.hint or "").startswith(hint)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        (Update, {"hostname": "bad name"}, "expected up to 63 letters, digits and hyphens"),
        (Update, {"hostname": "-web"}, "without a hyphen at its start or end"),
        (Update, {"hostname": "w" * 64}, "expected up to 63"),
        (AddMachine, {"mac_addresses": ["52:54:00"], "power_type": "manual"}, "expected a MAC address, such as"),
        (Tag, {"tag": "rack 4", "add": ["7xneda"]}, "expected up to 256 letters, digits"),
        (AddMachine, {"mac_addresses": ["52:54:00:ee:00:01"], "power_type": ""}, "at least 1 character"),
        (Update, {"zone": "z" * 256}, "at most 255 characters"),
    ],
)
async def test_an_impossible_name_or_address_is_not_sent(
    house: House, tool: Any, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        await house.call(tool, "node01", **arguments)

    assert not house.region.requests


async def test_a_user_who_may_not_tag_learns_why(house: House) -> None:
    house.maas = client_of(house.region, "bob")
    with pytest.raises(MaasPermissionError) as refusal:
        await house.call(Tag, None, tag="gpu", add=[house.region.machine("node01").system_id])

    assert refusal.value.hint == "bob is not an administrator. Ask an administrator to do it."


async def test_the_machine_of_another_user_is_edited_if_that_is_confirmed(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="belongs to bob") as refusal:
        await house.call(Update, "node09", pool="compute")

    assert "any_owner: true" in (refusal.value.hint or "")
    assert (await house.call(Update, "node09", pool="compute", any_owner=True)).pool == "compute"


@pytest.mark.parametrize("arguments", [{}, {"hostname": "web01.maas"}, {"any_owner": True}])
async def test_a_call_without_a_field_or_with_a_dotted_hostname_is_invalid(
    house: House, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        await house.call(Update, "node01", **arguments)


async def test_a_user_who_is_no_administrator_gets_the_reason(house: House) -> None:
    house.maas = client_of(house.region, "bob")

    with pytest.raises(MaasPermissionError) as refusal:
        await house.call(Update, "node01", zone="az1")

    assert refusal.value.hint == (
        "Only administrators may request PUT, and bob is not one. Ask an administrator to do it."
    )


async def test_machines_get_and_lose_a_tag_in_one_request(house: House) -> None:
    ids = [house.region.machine(f"node0{n}").system_id for n in (1, 2, 3)]

    result = await house.call(Tag, tag="gpu", add=ids[:2], remove=ids[2:])

    assert changed(house) == [("POST", "update_nodes", {"add": ids[:2], "remove": ids[2:]})]
    assert (result.added, result.removed, result.unchanged) == (1, 0, 2)
    assert Tag().summary(result) == ("Tag gpu: added to 1 and removed from 0 machines; 2 were already as requested.")


async def test_a_locked_machine_and_that_of_another_user_can_be_tagged(house: House) -> None:
    ids = [house.region.machine(name).system_id for name in ("node08", "node09")]

    assert (await house.call(Tag, tag="gpu", add=ids)).added == 2


async def test_hundreds_of_machines_are_tagged_in_one_request(house: House) -> None:
    ids = [_add(house, number) for number in range(100, 100 + MAX_MACHINES)]
    sent = len(changed(house))

    result = await house.call(Tag, tag="gpu", add=ids)

    assert result.added == MAX_MACHINES
    assert len(changed(house)) == sent + 1
    assert max(len(each.query.get("id", ())) for each in house.region.requests) == 100


def _add(house: House, number: int) -> str:
    machine = SimulatedMachine(f"x{number:05}", f"rack{number}", number)
    house.region.machines[machine.system_id] = machine
    return machine.system_id


async def test_a_missing_tag_is_created_only_if_that_is_requested(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="MAAS has no tag rack-4") as refusal:
        await house.call(Tag, tag="rack-4", add=["7xneda"])
    assert "create: true" in (refusal.value.hint or "")
    assert changed(house) == []

    result = await house.call(Tag, tag="rack-4", add=["7xneda"], create=True)

    assert [(method, op) for method, op, _ in changed(house)] == [("POST", None), ("POST", "update_nodes")]
    assert result.created
    assert house.region.machine("node01").tag_names[-1] == "rack-4"


async def test_a_tag_that_is_lost_after_its_creation_is_not_created_twice(house: House) -> None:
    house.region.faults.append(Fault(method="POST", path="tags/rack-4/", drop="before"))
    with pytest.raises(MaasError):
        await house.call(Tag, tag="rack-4", add=["7xneda"], create=True)

    result = await house.call(Tag, tag="rack-4", add=["7xneda"], create=True)

    assert (result.created, result.added) == (False, 1)


async def test_a_tag_with_a_definition_is_not_assigned_by_hand(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="MAAS assigns the tag kvm-capable itself"):
        await house.call(Tag, tag="kvm-capable", add=["7xneda"])

    assert changed(house) == []


async def test_unknown_machines_are_refused_because_maas_would_ignore_them(house: House) -> None:
    with pytest.raises(OperationRefusedError, match="MAAS shows no machine zzzzzz"):
        await house.call(Tag, tag="gpu", add=["7xneda", "zzzzzz"])

    assert changed(house) == []


@pytest.mark.parametrize("arguments", [{}, {"add": ["7xneda"], "remove": ["7xneda"]}, {"add": ["7xneda"] * 301}])
async def test_a_call_that_contradicts_itself_or_is_too_large_is_invalid(
    house: House, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        await house.call(Tag, tag="gpu", **arguments)


async def test_power_parameters_are_sent_and_never_shown_or_read(house: House) -> None:
    result = await house.call(SetPowerParameters, "node01", power_type="redfish", power_parameters=IPMI)

    sent = {"power_type": ["redfish"], **{f"power_parameters_{name}": [value] for name, value in IPMI.items()}}
    assert changed(house) == [("PUT", None, sent)]
    assert "power_parameters" not in {each.op for each in house.region.requests}
    assert PASSWORD not in f"{result!r} {result.model_dump_json()} {SetPowerParameters().summary(result)}"
    assert result.power_type == "redfish"


async def test_the_prefix_of_power_parameters_may_be_given(house: House) -> None:
    await house.call(
        SetPowerParameters,
        "node01",
        power_type="ipmi",
        power_parameters={f"power_parameters_{name}": value for name, value in IPMI.items()},
    )

    ((_, _, sent),) = changed(house)
    assert sent["power_parameters_power_pass"] == [PASSWORD]


async def test_a_power_type_without_parameters_is_not_sent_twice(house: House) -> None:
    first = await house.call(SetPowerParameters, "node01", power_type="manual")
    second = await house.call(SetPowerParameters, "node01", power_type="manual")

    assert (first.sent, second.sent) == (True, False)
    assert len(changed(house)) == 1


async def test_wrong_power_parameters_are_refused_without_their_values(house: House) -> None:
    with pytest.raises(MaasBadRequestError) as refusal:
        await house.call(SetPowerParameters, "node01", power_type="webhook", power_parameters={"power_pass": PASSWORD})

    assert "power_parameters" in refusal.value.fields
    assert PASSWORD not in str(refusal.value.maas_says)


def test_arguments_do_not_show_their_secrets() -> None:
    arguments = SetPowerParameters.arguments.model_validate(
        {"system_id": "7xneda", "power_type": "ipmi", "power_parameters": IPMI}
    )

    assert PASSWORD not in f"{arguments!r} {arguments} {arguments.model_dump_json()}"


MAC = "52:54:00:ee:00:01"
NEW = {"mac_addresses": [MAC], "power_type": "ipmi", "power_parameters": IPMI}


def added(house: House) -> int:
    return len([each for each in house.region.machines.values() if MAC in each.mac_addresses])


async def test_a_machine_is_added_and_commissioned(house: House) -> None:
    result = await house.call(AddMachine, hostname="new01", zone="az1", pool="compute", **NEW)

    ((_, _, sent),) = changed(house)
    assert (sent["architecture"], sent["commission"], sent["zone"]) == (["amd64"], ["true"], ["az1"])
    assert (result.hostname, result.status_name, result.power_type) == ("new01", "Commissioning", "ipmi")
    assert AddMachine().summary(result) == (f"new01 now is in MAAS as {result.system_id}: Commissioning.")


async def test_mac_addresses_are_recognized_in_other_notations(house: House) -> None:
    await house.call(AddMachine, **NEW, commission=False)

    again = await house.call(AddMachine, **{**NEW, "mac_addresses": [MAC.upper().replace(":", "-")]})

    assert not again.sent
    assert added(house) == 1


async def test_a_mac_address_of_another_machine_is_refused(house: House) -> None:
    with pytest.raises(OperationRefusedError, match=r"another machine with .*: node01 \(7xneda\)"):
        await house.call(AddMachine, hostname="new01", **{**NEW, "mac_addresses": ["52:54:00:aa:01:01"]})

    assert changed(house) == []


async def test_a_machine_that_was_added_but_not_commissioned_is_reported_with_the_reason(house: House) -> None:
    house.region.faults.append(
        Fault(method="POST", path="machines/", status=500, body="ExitError: exit status 1", acts=True)
    )

    result = await house.call(AddMachine, **NEW)

    assert result.problem == "ExitError: exit status 1"
    assert "MAAS reported: " in AddMachine().summary(result)
    assert added(house) == 1


async def test_maas_says_which_field_of_a_new_machine_is_wrong(house: House) -> None:
    with pytest.raises(MaasBadRequestError, match="architecture: 'vax/generic' is not a valid architecture"):
        await house.call(AddMachine, architecture="vax", **NEW)

    assert added(house) == 0


@pytest.mark.parametrize("status", [Status.COMMISSIONING, Status.DEPLOYING, Status.DISK_ERASING])
async def test_a_machine_with_a_running_operation_is_not_deleted(house: House, status: Status) -> None:
    house.region.set_status(house.region.machine("node01"), status)

    with pytest.raises(OperationRefusedError, match=f"is {status.display}; to be deleted it has to be one of"):
        await house.call(DeleteMachine, "node01")

    assert changed(house) == []


async def test_a_deleted_machine_is_shown_as_it_was(house: House) -> None:
    result = await house.call(DeleteMachine, "node12")

    assert DeleteMachine().summary(result) == "node12 (gpxwc3), which was Broken, is deleted from MAAS."
    assert "gpxwc3" not in house.region.machines


def test_deleting_loses_something_even_if_nobody_uses_the_machine() -> None:
    effects = DeleteMachine().effects(MachineArguments(system_id="7xneda"))

    assert (effects.machines, effects.destroys, effects.destroys_idle) == (("7xneda",), True, True)
