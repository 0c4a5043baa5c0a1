"""Deploying a machine."""

import json
from typing import Any

import anyio
import pytest

from maas_deploy.deploy import Deploy, DeployMachine
from maas_deploy.release import Release
from maas_mcp.api import (
    InvalidArgumentsError,
    MaasBadRequestError,
    MaasPermissionError,
    MaasUnavailableError,
    Operation,
    OperationFailedError,
    OperationRefusedError,
)
from maas_mcp.plugins.registry import load_registry
from maas_simulator import Fault
from tests.house import House

pytestmark = pytest.mark.anyio


def test_the_plugin_is_found_with_its_tools() -> None:
    (record,) = [record for record in load_registry().records if record.name == "deploy"]

    assert record.tools == (
        "maas_abort_machine",
        "maas_allocate_machine",
        "maas_deploy_machine",
        "maas_deploy_machines",
        "maas_lock_machine",
        "maas_power_cycle",
        "maas_power_off",
        "maas_power_on",
        "maas_query_power_state",
        "maas_release_machine",
        "maas_unlock_machine",
    )
    assert record.distribution == "maas-mcp-deploy"


@pytest.mark.parametrize(("operation", "name"), [(Deploy, "node01"), (Release, "node02")])
async def test_an_operation_reads_the_single_machine_only_at_its_start(
    house: House, operation: type[Operation[Any, Any]], name: str
) -> None:
    """The result uses the machine from the last poll."""
    if operation is Release:
        house.region.change_owner(name, "admin")
    await house.run(name, operation)

    assert house.machine_reads == 1


async def test_only_given_parameters_are_sent(house: House) -> None:
    await house.run("node01", distro_series="jammy", ephemeral_deploy=False)

    assert house.posted == [("deploy", {"distro_series": ["jammy"]})]


async def test_every_given_parameter_is_sent(house: House) -> None:
    await house.run(
        "node01",
        distro_series="ubuntu/noble",
        hwe_kernel="ga-24.04",
        user_data="I2Nsb3VkLWNvbmZpZw==",
        ephemeral_deploy=True,
        agent_name="batch-7",
        comment="for a test",
        license_key="AAAA-BBBB",
        bridge_all=True,
        bridge_type="ovs",
        bridge_stp=True,
        bridge_fd=15,
        enable_hw_sync=True,
        vcenter_registration=False,
        enable_kernel_crash_dump=True,
    )

    assert house.posted == [
        (
            "deploy",
            {
                "distro_series": ["ubuntu/noble"],
                "hwe_kernel": ["ga-24.04"],
                "user_data": ["I2Nsb3VkLWNvbmZpZw=="],
                "ephemeral_deploy": ["true"],
                "agent_name": ["batch-7"],
                "comment": ["for a test"],
                "license_key": ["AAAA-BBBB"],
                "bridge_all": ["true"],
                "bridge_type": ["ovs"],
                "bridge_stp": ["true"],
                "bridge_fd": ["15"],
                "enable_hw_sync": ["true"],
                "vcenter_registration": ["false"],
                "enable_kernel_crash_dump": ["true"],
            },
        )
    ]


async def test_a_machine_is_found_by_its_agent_name(house: House) -> None:
    await house.run("node01", agent_name="batch-7")

    assert [machine.hostname for machine in await house.maas.machines(agent_name="batch-7")] == ["node01"]


async def test_a_parameter_that_the_region_no_longer_supports_is_refused(house: House) -> None:
    with pytest.raises(InvalidArgumentsError, match=r"MAAS 3\.7\.3, whose deploy does not accept `install_rackd`"):
        await house.run("node01", install_rackd=True)

    assert house.posts == 0


async def test_a_parameter_that_the_region_does_not_support_yet_is_refused(house: House) -> None:
    body = json.dumps({"capabilities": [], "version": "3.5.13", "subversion": ""})
    house.region.faults.append(Fault(path="version/", status=200, body=body))

    with pytest.raises(InvalidArgumentsError, match="enable_kernel_crash_dump"):
        await house.run("node01", enable_kernel_crash_dump=False)

    assert house.posts == 0


async def test_vm_host_parameters_are_sent_if_the_region_supports_them(house: House) -> None:
    house.region.faults.append(Fault(op="deploy", status=403, body="Only administratros can deploy VM hosts"))

    with pytest.raises(MaasPermissionError, match="Only administratros"):
        await house.run("node01", register_vmhost=True, install_kvm=True)

    assert house.posted == [("deploy", {"register_vmhost": ["true"], "install_kvm": ["true"]})]


def test_secrets_are_not_shown_by_the_arguments() -> None:
    arguments = DeployMachine.model_validate({"system_id": "4y3h7n", "user_data": "s3cret", "license_key": "k3y"})

    assert "s3cret" not in repr(arguments)
    assert "s3cret" not in arguments.model_dump_json()
    assert "k3y" not in arguments.model_dump_json()


@pytest.mark.parametrize(
    ("name", "hint", "tools"),
    [
        ("node07", "Release it first; this destroys its workload.", []),
        ("node11", "Release it first: MAAS refuses deploy and commission in this status.", []),
        ("node12", None, ["machine mark-fixed"]),
    ],
)
async def test_a_machine_with_an_unsuitable_status_is_refused_with_a_next_step(
    house: House, name: str, hint: str | None, tools: list[str]
) -> None:
    with pytest.raises(OperationRefusedError) as refusal:
        await house.run(name)

    assert refusal.value.hint == hint
    assert [step.tool for step in refusal.value.next_steps] == tools
    assert house.posts == 0


async def test_maass_error_about_a_parameter_is_reported(house: House) -> None:
    with pytest.raises(MaasBadRequestError, match="'nosuch' is not a valid distro_series"):
        await house.run("node01", distro_series="nosuch")


async def test_a_failure_ends_with_the_log_of_the_installation(house: House) -> None:
    house.region.plan("node01", fail="Installing OS", reason="No space left on device")

    with pytest.raises(OperationFailedError, match="No space left on device"):
        await house.run("node01")


async def test_the_summary_shows_the_image_and_address(house: House) -> None:
    result = await house.run("node01", distro_series="noble")

    assert Deploy().summary(result).startswith("node01 is deployed with ubuntu/noble at 10.")


async def test_the_summary_of_a_late_result_shows_the_current_status(house: House) -> None:
    result = await house.run("node01")
    moved_on = result.model_copy(update={"status_name": "Ready"})

    assert Deploy().summary(moved_on) == "node01 was deployed and is now Ready."


class TestAlreadyDeploying:
    @pytest.mark.parametrize("image", ["jammy", "ubuntu/jammy", "22.04", "ubuntu/22.04", "custom/noble", "custom/mine"])
    async def test_another_image_is_refused_with_the_image_being_deployed(self, house: House, image: str) -> None:
        house.region.deploy("node01", "admin", distro_series="noble")

        with pytest.raises(OperationRefusedError) as refusal:
            await house.run("node01", distro_series=image)

        assert refusal.value.message == (
            f"node01 is already Deploying for admin, but it is being deployed with ubuntu/noble, not with {image}. "
            "Nothing was sent to MAAS."
        )
        assert house.posts == 0

    @pytest.mark.parametrize("image", [None, "noble", "ubuntu/noble", "24.04"])
    async def test_any_name_of_the_same_image_is_the_same_request(self, house: House, image: str | None) -> None:
        house.region.deploy("node01", "admin", distro_series="noble")

        outcome = await house.run("node01", distro_series=image)

        assert "not started again" in outcome.message

    async def test_an_ephemeral_deployment_is_a_different_request(self, house: House) -> None:
        house.region.deploy("node01", "admin")

        with pytest.raises(OperationRefusedError, match="to its disks, not to memory"):
            await house.run("node01", ephemeral_deploy=True)

    async def test_other_user_data_is_a_different_request(self, house: House) -> None:
        house.options["wait"] = 0.0
        await house.run("node01", user_data="#cloud-config\nhostname: one\n", comment="first")

        with pytest.raises(OperationRefusedError, match="with a different user_data") as refusal:
            await house.run("node01", user_data="#cloud-config\nhostname: two\n", comment="second")

        assert "hostname" not in str(vars(refusal.value))
        assert house.posts == 1

    async def test_another_process_lists_the_parameters_that_it_cannot_compare(self, house: House) -> None:
        house.region.deploy("node01", "admin", distro_series="noble")

        outcome = await house.run("node01", user_data="#cloud-config\n", distro_series="noble", install_kvm=True)

        assert "not started again" in outcome.message
        assert outcome.message.endswith(
            "MAAS does not show whether it was started with the same install_kvm and user_data"
        )

    async def test_another_comment_is_the_same_request(self, house: House) -> None:
        house.options["wait"] = 0.0
        await house.run("node01", comment="first")

        outcome = await house.run("node01", comment="second")

        assert "not started again" in outcome.message

    async def test_a_different_request_is_refused_while_the_first_is_unanswered(self, house: House) -> None:
        house.region.hold(op="deploy", before=100)
        house.options["wait"] = 0.0
        await house.run("node01", distro_series="noble")

        with pytest.raises(OperationRefusedError, match="with a different distro_series"):
            await house.run("node01", distro_series="jammy")


async def test_a_read_that_fails_before_the_request_leaves_nothing_uncertain(house: House) -> None:
    house.region.faults.append(Fault(path="version/", status=503, times=None))

    with pytest.raises(MaasUnavailableError):
        await house.run("node01", enable_kernel_crash_dump=True)

    assert house.posts == 0
    assert anyio.current_time() < 30
    assert not [each for each in house.messages if "it is not known yet" in each]


async def test_a_refused_request_is_not_compared_with_the_running_operation(house: House) -> None:
    house.region.hold(op="deploy", before=60)
    house.options["wait"] = 0.0
    await house.run("node01")
    await house.run("node02")
    house.after(10, lambda: house.region.deploy("node03", "admin", user_data="dGhlaXJz"))
    house.options["wait"] = None
    with pytest.raises(OperationRefusedError):
        await house.run("node03", user_data="#cloud-config\nmine: 1\n")

    outcome = await house.run("node03", user_data="#cloud-config\nmine: 1\n")

    assert outcome.message.endswith("MAAS does not show whether it was started with the same user_data")
