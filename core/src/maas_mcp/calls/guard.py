"""Judges each call by the site's policy before it runs, by the machines as they are now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from maas_mcp.calls.call import ToolCall
from maas_mcp.calls.limits_in_use import counted_names, counting_limits, read_usage
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.errors import InsufficientScopeError, MaasProtocolError, UnknownOperationError
from maas_mcp.maas.forms import FormValue
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.operations.batches.batch import BatchOperation
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.operation import Operation
from maas_mcp.operations.outages import giving_up
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.judgement import Finding, JudgedCall, Verdict, deciding, judge, refused_by
from maas_mcp.policy.limits import Usage, limits_of
from maas_mcp.policy.tiers import Tier, lowest_tier


@dataclass(frozen=True, slots=True)
class Judgement:
    """The policy's judgement of a call."""

    call: JudgedCall
    findings: Sequence[Finding]
    decision: Finding
    """The finding that decides."""


async def check_policy(call: ToolCall) -> ToolCall:
    """Return the call with the policy's judgement. A tool that only reads needs none.

    Raises:
        InsufficientScopeError: The principal lacks the scope for the call's tier.
        RefusedByPolicyError: The policy refuses the call. Nothing was sent to MAAS.
        MaasError: The machines cannot be read.
    """
    if refusal := _unserved(call):
        raise refused_by(refusal)
    check_tier(call.principal, call.tool, lowest_tier(call.effects))
    if call.tool.read_only and not call.effects.changes:
        return call
    judgement = await judge_call(call)
    check_tier(call.principal, call.tool, judgement.call.tier)
    decision = judgement.decision
    if decision.verdict is Verdict.REFUSE:
        raise refused_by(decision)
    call.tenant.request_guard.note_judged(judgement.call.machines)
    return replace(call, judgement=judgement)


def check_tier(principal: Principal, tool: AnyTool, tier: Tier) -> None:
    """Check that a principal may make a call of this tier.

    Raises:
        InsufficientScopeError: The principal lacks the scope.
    """
    if not principal.may(Scope.of(tier)):
        raise InsufficientScopeError(tool.name, Scope.of(tier))


def _unserved(call: ToolCall) -> Finding | None:
    return call.served.refusal(call.tool.name, changes=call.effects.changes)


async def judge_call(call: ToolCall) -> Judgement:
    """Judge a call by the policy. A call that changes nothing is judged without a request to MAAS.

    Raises:
        MaasError: The machines cannot be read.
    """
    policy, effects, limits = call.host.policy, call.effects, counting_limits(call)
    machines: Sequence[Machine] = ()
    username: str | None = None
    usage: Mapping[str, Usage] = {}
    if effects.changes and (effects.machines or effects.operations or limits):
        with giving_up(call.tool.name, call.answer_by):
            machines = await _read_machines(call, effects)
            if any(machine.owner is not None for machine in machines):
                username = await call.tenant.engine.username()
            usage = await read_usage(call, limits)
    judged = JudgedCall(
        tool=call.tool.name,
        effects=effects,
        machines=machines,
        username=username,
        tiers=_tiers_of(call.principal.scopes),
        mode=policy.mode_name,
        now=datetime.fromtimestamp(call.host.now(), UTC),
        kinds=limits_of(call.tool.limit, erases=effects.erases),
        counted_as=counted_names(call),
        usage=usage,
        unserved=_unserved(call),
    )
    findings = judge(policy.rules, judged)
    return Judgement(judged, findings, deciding(findings))


@cache
def _tiers_of(scopes: frozenset[Scope]) -> frozenset[Tier]:
    """The tiers that scopes allow."""
    return frozenset(each.tier for each in scopes)


async def _read_machines(call: ToolCall, effects: Effects) -> Sequence[Machine]:
    """Read the machines that a call changes. If there are several, the tool reports unknown ones.

    Raises:
        MaasProtocolError: A machine is unreadable, so it is unknown whether it is protected.
        MaasError: The only machine does not exist, or MAAS cannot be reached.
    """
    ids = dict.fromkeys(effects.machines)
    machines: list[Machine] = []
    for operation_id in effects.operations:
        found = _subject(call, operation_id)
        if found is None:
            continue
        operation, subject = found
        if isinstance(operation, BatchOperation):
            machines += await _list_machines(call, agent_name=subject)
        elif isinstance(operation, Operation):
            ids[subject] = None
    if len(ids) == 1:
        return [*machines, await call.tenant.engine.machine(next(iter(ids)))]
    return [*machines, *(await _list_machines(call, id=list(ids)))] if ids else machines


async def _list_machines(call: ToolCall, **filters: FormValue) -> Sequence[Machine]:
    listing = await call.tenant.maas.machine_listing(**filters)
    for each in listing.left_out:
        raise MaasProtocolError(f"{each}, so this server cannot check its policy. Nothing was sent to MAAS.")
    return listing


def _subject(call: ToolCall, operation_id: str) -> tuple[object, SystemId] | None:
    """The operation and the subject of an id; ``None`` if the caller has none with this id, which the tool reports."""
    try:
        handle = call.tenant.handle_signer.verify(operation_id)
    except UnknownOperationError:
        return None
    operation = call.host.operations.get(handle.operation)
    return None if operation is None else (operation, handle.system_id)
