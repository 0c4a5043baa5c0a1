"""Ownership of machines, and explanations of a 403, for which MAAS gives no reason."""

from collections.abc import AsyncIterator, Callable

import pytest

from maas_mcp.api import MaasClient, MaasPermissionError, OperationRefusedError, another_owner, check_take_over
from maas_mcp.maas.permissions import ADMIN_ONLY
from maas_mcp.operations.declaring.permission import explain_refusal
from maas_mcp.operations.next_steps import unlock
from maas_mcp.testing import MaasRegion
from maas_simulator import Fault, Status
from tests.configuring import interfaces

pytestmark = pytest.mark.anyio


@pytest.fixture
def region() -> MaasRegion:
    return MaasRegion()


@pytest.fixture
async def bob(region: MaasRegion) -> AsyncIterator[MaasClient]:
    """A plain user."""
    async with region.host("bob") as host:
        yield host.tenant.maas


async def refusal_of(
    region: MaasRegion, maas: MaasClient, name: str, op: str, *, before: Callable[[], object] = lambda: None
) -> MaasPermissionError:
    """Return the explained refusal of ``op``, after something happened between the read and the request."""
    machine = await maas.machine(region.machine(name).system_id)
    before()
    with pytest.raises(MaasPermissionError) as refusal:
        await maas.post_op(f"machines/{machine.system_id}/", op)
    await explain_refusal(maas, machine, refusal.value)
    return refusal.value


@pytest.mark.parametrize("op", ["commission", "test", "rescue_mode", "exit_rescue_mode", "mark_fixed"])
@pytest.mark.parametrize("name", ["node01", "node09"])
async def test_a_plain_user_gets_a_hint_that_only_administrators_may(
    region: MaasRegion, bob: MaasClient, name: str, op: str
) -> None:
    hint = (await refusal_of(region, bob, name, op)).hint

    assert hint == f"Only administrators may request {op}, and bob is not one. Ask an administrator to do it."


@pytest.mark.parametrize("op", ["deploy", "release", "abort", "power_off", "unlock"])
async def test_a_machine_that_changed_its_owner_meanwhile_is_reported(
    region: MaasRegion, bob: MaasClient, op: str
) -> None:
    def be_faster() -> None:
        region.machine("node01").owner = "admin"

    refusal = await refusal_of(region, bob, "node01", op, before=be_faster)

    assert "belongs to another user" in str(refusal.hint)


async def test_a_visible_machine_of_another_user_is_reported_with_its_owner(
    region: MaasRegion, bob: MaasClient
) -> None:
    region.machine("node01").owner = "bob"
    seen = Fault(method="GET", path="machines/7xneda/", status=200, body=_MACHINE, times=None)
    machine = await bob.machine("7xneda")
    region.faults.append(seen)
    error = MaasPermissionError("no")
    error.op = "deploy"

    await explain_refusal(bob, machine, error)

    assert error.hint == "node01 (7xneda) belongs to alice. Only alice and administrators may change it."


@pytest.mark.parametrize("username", ["admin", "bob"])
async def test_a_machine_that_was_locked_meanwhile_is_reported(region: MaasRegion, username: str) -> None:
    def lock() -> None:
        region.machine("node09").locked = True

    async with region.host(username) as host:
        refusal = await refusal_of(region, host.tenant.maas, "node09", "release", before=lock)

    assert "is locked, which protects it from changes" in str(refusal.hint)
    assert refusal.next_steps == (unlock(region.machine("node09").system_id),)


@pytest.mark.parametrize(
    ("name", "whose"), [("node09", "node09 belongs to bob."), ("node01", "node01 has no owner. Allocate it first.")]
)
async def test_an_administrator_gets_a_hint_that_only_the_owner_may(region: MaasRegion, name: str, whose: str) -> None:
    async with region.host() as host:
        refusal = await refusal_of(region, host.tenant.maas, name, "mark_broken")

    assert refusal.next_steps == ()
    assert refusal.hint == f"Only a machine's owner may request mark_broken, not even an administrator. {whose}"


async def test_no_reason_is_invented_for_an_unexplained_refusal(region: MaasRegion) -> None:
    region.faults.append(Fault(op="deploy", status=403))
    async with region.host() as host:
        hint = (await refusal_of(region, host.tenant.maas, "node01", "deploy")).hint or ""

    assert hint.startswith(
        "MAAS gives no reason: node01 (7xneda) has no owner and is not locked, and admin is an administrator."
    )
    assert "pool default" in hint


async def test_a_reason_that_maas_gives_is_not_replaced(bob: MaasClient) -> None:
    machine = await bob.machine("7xneda")
    with pytest.raises(MaasPermissionError, match="can deploy VM hosts") as refusal:
        await bob.post_op("machines/7xneda/", "deploy", install_kvm=True)

    await explain_refusal(bob, machine, refusal.value)

    assert refusal.value.hint is None


async def test_the_general_hint_stays_if_maas_does_not_respond(region: MaasRegion, bob: MaasClient) -> None:
    region.faults.append(Fault(op="whoami", status=500, times=None))

    refusal = await refusal_of(region, bob, "node01", "commission")

    assert "may be locked or belong to another user" in str(refusal.hint)


async def test_a_hidden_machine_is_reported_as_another_users(region: MaasRegion, bob: MaasClient) -> None:
    with pytest.raises(MaasPermissionError) as refusal:
        await bob.machine(region.machine("node07").system_id)

    assert refusal.value.hint == (
        "The machine belongs to another user. Only its owner and MAAS administrators may see it."
    )


async def test_a_refusal_without_a_machine_is_not_explained_by_a_lock(bob: MaasClient) -> None:
    with pytest.raises(MaasPermissionError) as refusal:
        await bob.post("tags/", name="spare")

    assert refusal.value.hint in {None, "This needs a MAAS administrator."}


@pytest.mark.parametrize(("name", "owner"), [("node01", None), ("node07", None), ("node09", "bob")])
async def test_another_owner_is_only_a_different_user(region: MaasRegion, name: str, owner: str | None) -> None:
    async with region.host() as host:
        maas = host.tenant.maas
        assert await another_owner(maas, await maas.machine(region.machine(name).system_id)) == owner


async def test_another_users_machine_is_taken_only_after_confirmation(region: MaasRegion) -> None:
    async with region.host() as host:
        maas = host.tenant.maas
        machine = await maas.machine(region.machine("node09").system_id)
        await check_take_over(maas, machine, confirmed=True, effect="It becomes yours")
        with pytest.raises(OperationRefusedError, match=r"belongs to bob\. It becomes yours\. Nothing was"):
            await check_take_over(maas, machine, confirmed=False, effect="It becomes yours")


INTERFACES = "nodes/7xneda/interfaces/"
PATHS = {
    **dict.fromkeys(("create_bond", "create_bridge", "create_vlan"), INTERFACES),
    **dict.fromkeys(("link_subnet", "unlink_subnet"), f"{INTERFACES}10/"),
    "update_nodes": "tags/gpu/",
}
"""The paths of operations that are not on the machine itself."""


async def test_the_simulator_refuses_admin_operations_to_a_plain_user(region: MaasRegion, bob: MaasClient) -> None:
    """Check that the table of permissions matches the simulator."""
    machine = region.machine("node01")
    machine.owner, machine.status = "bob", Status.DEPLOYED
    number = interfaces(region, machine)["eno1"]["id"]
    paths = {
        **dict.fromkeys(["create_bond", "create_bridge", "create_vlan"], "nodes/7xneda/interfaces/"),
        **dict.fromkeys(["link_subnet", "unlink_subnet"], f"nodes/7xneda/interfaces/{number}/"),
        "update_nodes": "tags/gpu/",
    }
    for op in sorted(ADMIN_ONLY - {"PUT", "DELETE"}):
        if "restore" in op or "layout" in op:
            continue  # not simulated
        with pytest.raises(MaasPermissionError):
            await bob.post_op(paths.get(op, "machines/7xneda/"), op)


_MACHINE = '{"system_id": "7xneda", "hostname": "node01", "status": 6, "status_name": "Deployed", "owner": "alice"}'
