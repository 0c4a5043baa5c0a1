"""The machines of a call as the policy's limits count them, and the usage of these limits at present."""

from collections.abc import Mapping
from typing import Final

from maas_mcp.calls.call import ToolCall
from maas_mcp.maas.statuses import AT_WORK
from maas_mcp.policy.limits import CHOSEN, HOUR, Limit, Usage, limits_of

SETTLED: Final = 60.0
"""Seconds after which a machine's status in MAAS shows whether a change is running."""


def counted_names(call: ToolCall) -> list[str]:
    """The names under which the call's machines are counted."""
    return [counted_name(call, each) for each in call.effects.machines]


def counted_name(call: ToolCall, system_id: str) -> str:
    """The name under which a machine is counted. It contains the region, if there are several."""
    return f"{call.tenant.region}/{system_id}" if call.tenant.region else system_id


def counting_limits(call: ToolCall) -> Mapping[str, Limit]:
    """The limits that count earlier calls as well as this one, by kind."""
    rules = call.host.policy.rules
    limits = {kind: rules.limit(kind) for kind in limits_of(call.tool.limit, erases=call.effects.erases)}
    return {kind: limit for kind, limit in limits.items() if limit.counts}


async def read_usage(call: ToolCall, limits: Mapping[str, Limit]) -> Mapping[str, Usage]:
    """The usage of the limits that count the call: those of :func:`counting_limits`."""
    if not limits:
        return {}
    await _end_idle(call, limits)
    return await call.host.policy.usage.read(limits, call.host.now())


async def _end_idle(call: ToolCall, limits: Mapping[str, Limit]) -> None:
    """Note the end of changes that a process stopped following, if MAAS no longer works on their machines.

    Sends a request to MAAS only if the call would otherwise exceed a limit.
    """
    store, effects = call.host.policy.usage, call.effects
    for kind, limit in limits.items():
        if limit.at_once is None:
            continue
        busy = await store.busy_since(kind, call.host.now() - SETTLED)
        if busy and len(busy) + len(effects.machines) + effects.allocates > limit.at_once:
            named = {each for each in busy if not each.startswith(CHOSEN)}
            own = {each for each in named if each.rpartition("/")[0] == call.tenant.region}
            known = sorted(each.rpartition("/")[2] for each in own)
            machines = await call.tenant.maas.machines(id=known) if known else []
            shown = {counted_name(call, each.system_id): each for each in machines}
            idle = {name for name, machine in shown.items() if machine.status not in AT_WORK}
            # MAAS shows no deleted machines, and none for names that a killed server left before MAAS had chosen.
            old = await store.busy_since(kind, call.host.now() - HOUR)
            absent = {each for each in old if each.startswith(CHOSEN) or (each in own and each not in shown)}
            await store.end([kind], idle | absent)
