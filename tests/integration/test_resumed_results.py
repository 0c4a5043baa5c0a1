"""A second process that knows only the operation id returns the same result, for every operation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from maas_mcp.calls.arguments import parse_arguments
from maas_mcp.operations.batches.batch import BatchOperation, new_name
from maas_mcp.operations.cancellation import CancellationToken
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.progress import ProgressReporter, discard_progress
from maas_mcp.plugins.registry import load_registry
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import Host, open_host
from maas_simulator import Status

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Started:
    """How a test starts an operation: arguments, machine and preparation."""

    arguments: dict[str, Any] = field(default_factory=dict)
    machine: str = ""
    before: Callable[[MaasRegion], object] = lambda region: region


def in_rescue_mode(region: MaasRegion) -> None:
    region.set_status(region.machine("node07"), Status.RESCUE_MODE)


STARTED = {
    "maas_deploy_machine": Started({"distro_series": "jammy", "ephemeral_deploy": True}, "node01"),
    "maas_deploy_machines": Started({"count": 2}),
    "maas_release_machine": Started({"erase": True}, "node07"),
    "maas_commission_machine": Started({"enable_ssh": True, "skip_storage": True}, "node01"),
    "maas_test_machine": Started({"testing_scripts": ["smartctl-validate"]}, "node07"),
    "maas_enter_rescue_mode": Started({"take_over": True}, "node09"),
    "maas_exit_rescue_mode": Started({}, "node07", in_rescue_mode),
    "maas_import_images": Started(),
}


def operations() -> dict[str, LongRunning[Any, Any]]:
    return {tool.name: tool for tool in load_registry().tools.values() if isinstance(tool, LongRunning)}


def test_every_operation_is_tested() -> None:
    assert set(operations()) == set(STARTED)


@pytest.mark.parametrize("name", STARTED)
async def test_a_process_that_does_not_know_the_arguments_returns_the_same_result(name: str) -> None:
    started, operation = STARTED[name], operations()[name]
    with MaasRegion() as region:
        started.before(region)
        given = {**started.arguments}
        if started.machine:
            given["system_id"] = region.machine(started.machine).system_id
        args, _ = parse_arguments(operation, given)
        async with region.host() as host:
            engine, options = host.tenant.engine_for(operation), dict[str, Any]()
            if isinstance(operation, BatchOperation):
                options["name"] = new_name(operation, args)
            first = await engine.run(
                operation, args, ProgressReporter(discard_progress), CancellationToken(), **options
            )
            async with open_host(region, host.now, "admin") as second:
                later = await resumed(second, operation, first.handle)

        assert first.result is not None
        assert later.result == first.result
        assert operation.summary(later.result) == operation.summary(first.result)


async def resumed(host: Host, operation: LongRunning[Any, Any], handle: Any) -> Any:
    engine = host.tenant.engine_for(operation)
    return await engine.resume(operation, handle, ProgressReporter(discard_progress), CancellationToken(), wait=0.0)
