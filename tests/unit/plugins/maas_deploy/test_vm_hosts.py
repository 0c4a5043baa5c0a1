"""VM hosts: deploying one, composing a virtual machine on it, and releasing both."""

import pytest

from maas_deploy.allocate import Allocate
from maas_deploy.release import Release
from maas_mcp.api import MaasBadRequestError, MaasConflictError
from tests.house import House

pytestmark = pytest.mark.anyio

TOO_MUCH_FOR_METAL = {"cpu_count": 128, "mem": 4096}


@pytest.mark.parametrize("how", ["install_kvm", "register_vmhost"])
async def test_maas_composes_a_virtual_machine_if_no_machine_matches(house: House, how: str) -> None:
    with pytest.raises(MaasConflictError):
        await house.call(Allocate, **TOO_MUCH_FOR_METAL)
    await house.run("node01", None, **{how: True})

    composed = await house.call(Allocate, **TOO_MUCH_FOR_METAL)

    assert (composed.status_name, composed.owner, composed.cpu_count) == ("Allocated", "admin", 128)
    assert (await house.maas.machine(composed.system_id)).pod == "node01"


async def test_a_composed_machine_can_be_deployed_and_is_deleted_by_its_release(house: House) -> None:
    await house.run("node01", install_kvm=True)
    composed = await house.call(Allocate, pod="node01")

    deployed = await house.run(composed.hostname)
    released = await house.run(composed.hostname, Release)

    assert (deployed.status_name, released.status_name) == ("Deployed", "Deleted")
    assert composed.system_id not in house.region.machines


async def test_a_dry_run_composes_nothing(house: House) -> None:
    await house.run("node01", install_kvm=True)

    with pytest.raises(MaasConflictError):
        await house.call(Allocate, **TOO_MUCH_FOR_METAL, dry_run=True)


async def test_a_vm_host_is_released_only_with_force(house: House) -> None:
    await house.run("node01", install_kvm=True)
    composed = await house.call(Allocate, pod="node01")

    with pytest.raises(MaasBadRequestError, match="The following VM hosts must be removed first: node01"):
        await house.run("node01", Release)
    result = await house.run("node01", Release, force=True)

    assert result.status_name == "Ready"
    assert composed.system_id not in house.region.machines
