"""python-libmaas with the simulator: it builds itself from the description, waits, and reports failures."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from maas.client import connect
from maas.client.bones import CallError
from maas.client.enum import NodeStatus, PowerState
from maas.client.viscera import machines

from maas_simulator import SimulatedRegion
from simulator.tests.libmaas.conftest import Story

Play = Callable[[Story], None]
QUICKLY: dict[str, Any] = {"wait": True, "wait_interval": 0.05}


async def machine(client: Any, hostname: str) -> Any:
    (found,) = await client.machines.list(hostnames=[hostname])
    return found


def test_it_logs_in_by_api_key(play: Play) -> None:
    async def story(client: Any) -> None:
        me = await client.users.whoami()
        assert (me.username, me.email, me.is_admin) == ("admin", "admin@example.com", True)
        assert (await client.version.get()).version == "3.7.3"

    play(story)


def test_a_wrong_api_key_is_refused(url: str) -> None:
    async def story() -> None:
        other = await connect(url, apikey="not:a:key")
        with pytest.raises(CallError, match="401 Unauthorized") as refusal:
            await other.users.whoami()
        assert b"Invalid API key" in refusal.value.content

    asyncio.run(story())


def test_it_lists_the_machines(play: Play) -> None:
    async def story(client: Any) -> None:
        listed = await client.machines.list()
        assert [each.hostname for each in listed] == [f"node{number:02}" for number in range(1, 13)]
        assert Counter(each.status for each in listed)[NodeStatus.READY] == 5
        second = await machine(client, "node02")
        assert (second.cpus, second.memory, second.zone.name, second.pool.name) == (16, 32768, "az1", "compute")
        assert [tag.name for tag in second.tags] == ["gpu", "ssd", "kvm-capable"]
        assert [disk.name for disk in second.block_devices] == ["sda"]

    play(story)


def test_it_reads_zones_pools_tags_subnets_and_images(play: Play) -> None:
    async def story(client: Any) -> None:
        assert {each.name for each in await client.zones.list()} == {"default", "az1", "az2"}
        assert {each.name for each in await client.resource_pools.list()} == {"default", "compute", "storage"}
        assert {each.name for each in await client.tags.list()} == {"gpu", "ssd", "kvm-capable", "virtual"}
        assert {each.name for each in await client.subnets.list()} == {"pxe", "bmc", "storage"}
        assert "ubuntu/noble" in {each.name for each in await client.boot_resources.list()}

    play(story)


def test_it_deploys_and_waits(play: Play, region: SimulatedRegion) -> None:
    async def story(client: Any) -> None:
        deployed = await (await machine(client, "node01")).deploy(distro_series="jammy", **QUICKLY)
        assert (deployed.status, deployed.power_state) == (NodeStatus.DEPLOYED, PowerState.ON)
        assert (deployed.osystem, deployed.distro_series, deployed.netboot) == ("ubuntu", "jammy", False)

    play(story)
    assert region.machine("node01").owner == "admin"


def test_it_reports_a_failed_deployment(play: Play, region: SimulatedRegion) -> None:
    region.plan("node01", fail="Installing OS", reason="the disk is full")

    async def story(client: Any) -> None:
        with pytest.raises(machines.FailedDeployment, match="node01 failed to deploy"):
            await (await machine(client, "node01")).deploy(**QUICKLY)

    play(story)
    assert region.machine("node01").error_description == "the disk is full"


def test_a_bmc_that_fails_after_the_200_fails_the_deployment(play: Play, region: SimulatedRegion) -> None:
    region.plan("node01", fail="Deploying")

    async def story(client: Any) -> None:
        deploying = await (await machine(client, "node01")).deploy()
        assert deploying.status == NodeStatus.DEPLOYING
        while deploying.status == NodeStatus.DEPLOYING:
            await deploying.refresh()
        assert deploying.status == NodeStatus.FAILED_DEPLOYMENT

    play(story)


def test_it_commissions_and_waits_through_the_tests(play: Play, region: SimulatedRegion) -> None:
    async def story(client: Any) -> None:
        new = await machine(client, "node10")
        assert (new.cpus, new.status) == (0, NodeStatus.NEW)
        commissioned = await new.commission(**QUICKLY)
        assert (commissioned.status, commissioned.cpus) == (NodeStatus.READY, 8)

    play(story)
    passed = [result.name for sets in region.machine("node10").sets for result in sets.results]
    assert "smartctl-validate" in passed


def test_it_reports_a_failed_script(play: Play, region: SimulatedRegion) -> None:
    region.plan("node10", fail="50-maas-01-commissioning")
    region.plan("node01", fail="smartctl-validate")

    async def story(client: Any) -> None:
        with pytest.raises(machines.FailedCommissioning):
            await (await machine(client, "node10")).commission(**QUICKLY)
        with pytest.raises(machines.FailedTesting):
            await (await machine(client, "node01")).commission(**QUICKLY)

    play(story)


def test_a_bmc_that_fails_while_commissioning_starts_fails_the_request(play: Play, region: SimulatedRegion) -> None:
    region.plan("node01", fail="Commissioning")

    async def story(client: Any) -> None:
        with pytest.raises(CallError, match="500 Internal Server Error"):
            await (await machine(client, "node01")).commission()
        assert (await machine(client, "node01")).status == NodeStatus.READY

    play(story)


def test_it_releases_and_waits(play: Play) -> None:
    async def story(client: Any) -> None:
        released = await (await machine(client, "node07")).release(comment="done", **QUICKLY)
        assert (released.status, released.owner, released.power_state) == (NodeStatus.READY, None, PowerState.OFF)

    play(story)


def test_it_releases_with_an_erase_and_waits_for_both(play: Play, region: SimulatedRegion) -> None:
    async def story(client: Any) -> None:
        erasing = await (await machine(client, "node07")).release(erase=True)
        assert erasing.status == NodeStatus.DISK_ERASING

    play(story)
    region.plan("node09", fail="Erasing")

    async def failing(client: Any) -> None:
        with pytest.raises(machines.FailedDiskErasing):
            await (await machine(client, "node09")).release(erase=True, **QUICKLY)

    play(failing)


def test_it_aborts_and_reads_the_result(play: Play) -> None:
    async def story(client: Any) -> None:
        aborted = await (await (await machine(client, "node01")).deploy()).abort(comment="wrong machine")
        await aborted.refresh()
        assert (aborted.status, aborted.owner.username) == (NodeStatus.ALLOCATED, "admin")

    play(story)


def test_it_enters_and_leaves_rescue_mode(play: Play) -> None:
    async def story(client: Any) -> None:
        rescued = await (await machine(client, "node01")).enter_rescue_mode()
        while rescued.status == NodeStatus.ENTERING_RESCUE_MODE:
            await rescued.refresh()
        assert rescued.status == NodeStatus.RESCUE_MODE
        assert (await rescued.exit_rescue_mode(**QUICKLY)).status == NodeStatus.READY

    play(story)


def test_it_allocates_by_constraints(play: Play) -> None:
    async def story(client: Any) -> None:
        allocated = await client.machines.allocate(cpus=12, tags=["gpu"])
        assert (allocated.hostname, allocated.status) == ("node02", NodeStatus.ALLOCATED)
        with pytest.raises(machines.MachineNotFound):
            await client.machines.allocate(cpus=1000)

    play(story)


def test_it_locks_marks_and_switches(play: Play) -> None:
    async def story(client: Any) -> None:
        locked = await (await machine(client, "node07")).lock()
        with pytest.raises(CallError, match="403 Forbidden"):
            await locked.release()
        assert not (await locked.unlock()).locked
        assert await locked.query_power_state() == PowerState.ON
        await locked.power_off()
        assert await locked.query_power_state() == PowerState.OFF
        fixed = await (await machine(client, "node12")).mark_fixed(comment="a new DIMM")
        assert fixed.status == NodeStatus.READY

    play(story)


def test_a_second_deploy_is_a_conflict(play: Play) -> None:
    async def story(client: Any) -> None:
        first = await machine(client, "node01")
        await first.deploy()
        with pytest.raises(CallError, match="409 Conflict") as refusal:
            await first.deploy()
        assert refusal.value.content == b"Can't deploy a machine that is in the 'Deploying' state"

    play(story)


def test_it_reads_the_events_of_a_machine(play: Play) -> None:
    async def story(client: Any) -> None:
        first = await machine(client, "node01")
        await first.deploy(**QUICKLY)
        events = await client.events.query(hostnames=["node01"], limit=4)
        assert [event.event_type for event in events][:3] == ["Deployed", "Image Deployed", "Rebooting"]
        assert next(iter(events)).created.tzinfo is not None

    play(story)


def test_it_builds_a_network(play: Play) -> None:
    async def story(client: Any) -> None:
        fabric = await client.fabrics.create(name="dmz")
        vlan = await fabric.vlans.create(30, name="web")
        space = await client.spaces.create(name="public")
        subnet = await client.subnets.create("10.66.0.0/24", vlan.id, name="web", gateway_ip="10.66.0.1")
        reserved = await client.ip_ranges.create("10.66.0.10", "10.66.0.20", comment="printers", subnet=subnet)
        assert (reserved.start_ip, reserved.subnet.id) == ("10.66.0.10", subnet.id)
        (shown,) = [each for each in await client.fabrics.list() if each.name == "dmz"]
        assert sorted(each.vid for each in shown.vlans) == [0, 30]
        assert {each.name for each in await client.spaces.list()} == {"public", "undefined"}
        with pytest.raises(CallError, match="400 Bad Request"):
            await client.subnets.create("10.66.0.0/25", vlan.id)
        await subnet.delete()
        await space.delete()
        assert "web" not in {each.name for each in await client.subnets.list()}

    play(story)


def test_it_keeps_zones_tags_domains_and_users(play: Play) -> None:
    async def story(client: Any) -> None:
        zone = await client.zones.create("az9", "Zone nine")
        zone.description = "the ninth"
        await zone.save()
        assert (await client.zones.get("az9")).description == "the ninth"
        await zone.delete()
        await client.tags.create("nvme", comment="fast")
        assert (await client.tags.get("nvme")).comment == "fast"
        domain = await client.domains.create("lab.example", ttl=60)
        assert {each.name for each in await client.domains.list()} == {"maas", "lab.example"}
        await domain.delete()
        carol = await client.users.create("carol", "secret", email="carol@example.com")
        assert not carol.is_admin
        assert "carol" in {each.username for each in await client.users.list()}

    play(story)


def test_it_changes_the_network_and_the_storage_of_a_ready_machine(play: Play) -> None:
    async def story(client: Any) -> None:
        ready = await machine(client, "node03")
        boot = ready.interfaces[0]
        assert [link.mode.value for link in boot.links] == ["auto"]
        boot.name = "uplink"
        await boot.save()
        data = ready.block_devices[1]
        part = await data.partitions.create(10 * 10**9)
        await part.format("ext4")
        await part.mount("/srv")
        await ready.refresh()
        assert ready.interfaces[0].name == "uplink"
        (created,) = ready.block_devices[1].partitions
        assert (created.filesystem.fstype, created.filesystem.mount_point) == ("ext4", "/srv")

    play(story)


def test_it_reads_controllers_devices_and_settings(play: Play) -> None:
    async def story(client: Any) -> None:
        assert {each.hostname for each in await client.rack_controllers.list()} == {"rack01"}
        device = await client.devices.create(["52:54:00:ee:01:01"])
        assert [each.system_id for each in await client.devices.list()] == [device.system_id]
        await client.maas.set_name("lab")
        assert await client.maas.get_name() == "lab"

    play(story)


def test_unsimulated_operations_are_not_offered(play: Play) -> None:
    async def story(client: Any) -> None:
        with pytest.raises(AttributeError, match="create"):
            (await machine(client, "node03"))._origin.Raids._handler.create  # noqa: B018 - reading it is the test

    play(story)
