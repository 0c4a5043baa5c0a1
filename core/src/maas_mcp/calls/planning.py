"""Plans a call: rehearses it, and returns the changes that it would make, with an id by which they are applied."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from maas_mcp.calls.approval import plan_user
from maas_mcp.calls.call import CallResult, ToolCall
from maas_mcp.calls.confirmation import loss
from maas_mcp.calls.guard import Judgement
from maas_mcp.calls.plan import Plan
from maas_mcp.calls.plan_ids import LIFETIME
from maas_mcp.calls.principal import LOCAL
from maas_mcp.calls.rehearsal import Rehearsal, planned_request
from maas_mcp.calls.stakes import describe_machines
from maas_mcp.maas.change_request import RehearsedError
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.running.results import summary_of
from maas_mcp.policy.judgement import Verdict, needs_second_person

Next = Callable[[ToolCall], Awaitable[CallResult]]

RESPONSES: Final = {
    Verdict.ALLOW: "allowed",
    Verdict.CONFIRM: "the user must confirm the call, or it needs a plan",
    Verdict.PLAN: "the call needs a plan",
}


async def plan_call(call: ToolCall, following: Next) -> CallResult:
    """Rehearse a call, and return its plan.

    Raises:
        MaasMcpError: The call itself would be refused, or fails before its first change.
    """
    rehearsal = Rehearsal()
    result = await rehearse(call, following, rehearsal)
    final = rehearsal.filled_in or call
    return CallResult(result=None, content=None, plan=await _plan_of(final, rehearsal, result))


async def rehearse(call: ToolCall, following: Next, rehearsal: Rehearsal) -> CallResult | None:
    """Run a call up to its first change. Returns the result of a call that would change nothing.

    Raises:
        MaasMcpError: The call itself would be refused, or fails before its first change.
    """
    try:
        result = await following(replace(call, rehearsal=rehearsal))
    except RehearsedError:
        return None
    except Exception:
        if not rehearsal.changes:
            raise
    else:
        if not rehearsal.changes:
            return result
    return None  # the tool handled the end of its rehearsal as a failure


async def _plan_of(call: ToolCall, rehearsal: Rehearsal, result: CallResult | None) -> Plan:
    judgement = call.judgement
    if judgement is None:
        raise TypeError(f"{call.tool.name} was not judged")
    machines = list(judgement.call.machines)
    shown = await describe_machines(call.tenant.maas, machines, with_disks=call.effects.destroys or call.effects.erases)
    warnings = list(rehearsal.warnings)
    if result is not None and (said := _said(call, result)):
        warnings.append(said)
    if needs_second_person(judgement.findings):
        warnings.append("Another person must apply this plan. The person who made it cannot.")
    return Plan(
        tool=call.tool.name,
        plan_id=await _sign(call, judgement, rehearsal) if result is None else None,
        valid_for=LIFETIME,
        machines=list(shown),
        more_machines=len(machines) - len(shown),
        requests=[planned_request(each, call.arguments) for each in rehearsal.changes],
        cost=_cost(call),
        policy=[f"{each.rule}: {each.reason} Response: {RESPONSES[each.verdict]}." for each in judgement.findings],
        warnings=warnings,
    )


async def _sign(call: ToolCall, judgement: Judgement, rehearsal: Rehearsal) -> str:
    return call.tenant.plan_signer.sign(
        call.tool.name,
        call.arguments,
        judgement.call.machines,
        await plan_user(call),
        rehearsal.nonce,
        # The server cannot distinguish local users, so another person can never apply a plan of the local user.
        second_person=needs_second_person(judgement.findings) and call.principal != LOCAL,
    )


def _said(call: ToolCall, result: CallResult) -> str:
    """The message of a call that would send nothing."""
    if result.status is not None:
        return f"{result.status.message}."
    return "" if result.result is None else summary_of(call.tool, result.result)


def _cost(call: ToolCall) -> str:
    """How long the call takes, and what it may lose."""
    tool: Any = call.tool
    if call.effects.erases:
        time = "Takes minutes to many hours, depending on the disks."
    elif isinstance(tool, LongRunning) and tool.typical is not None:
        minutes = max(1, round(tool.typical.total_seconds() / 60))
        time = f"Takes about {minutes} {'minute' if minutes == 1 else 'minutes'}."
    else:
        time = "Takes seconds to minutes." if not isinstance(tool, LongRunning) else "Takes minutes or longer."
    return f"{time} {loss(call.effects)}"
