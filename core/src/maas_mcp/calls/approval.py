"""Approves calls that the policy allows only with the user's confirmation or a plan."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from maas_mcp.calls.call import ToolCall
from maas_mcp.calls.confirmation import confirm
from maas_mcp.calls.guard import Judgement, check_policy
from maas_mcp.calls.plan_ids import LIFETIME, AppliedPlans, MachineState, PlanUser, VerifiedPlan, machine_states
from maas_mcp.calls.principal import LOCAL
from maas_mcp.calls.rehearsal import secrets_in
from maas_mcp.errors import NotAnsweredError, PlanNeededError, PlanRefusedError
from maas_mcp.maas.change_request import ChangeRequest
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.next_step import NextStep
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.policy.judgement import Verdict, needs_second_person
from maas_mcp.policy.tiers import Tier

ONE_PERSON_HINT: Final = "Serve maas-mcp over HTTP with authentication, so that persons can be distinguished."


@dataclass(frozen=True, slots=True)
class Approval:
    """The approval of a call. It also covers the calls that its tool makes on the same machines."""

    by: Verdict
    """``CONFIRM``: by the user's confirmation. ``PLAN``: by a plan."""
    tier: Tier
    effects: Effects
    machines: frozenset[SystemId]
    applied: AppliedPlans
    caller: object
    """The call that applies the plan."""
    plan: VerifiedPlan | None = None

    def covers(self, judgement: Judgement) -> bool:
        """Whether a call needs no approval of its own."""
        inner, given = judgement.call.effects, self.effects
        machines = {*inner.machines, *(each.system_id for each in judgement.call.machines)}
        somewhere = bool(machines or inner.operations or inner.allocates)
        return (
            judgement.decision.verdict <= self.by
            and self.tier.includes(judgement.call.tier)
            and machines <= self.machines
            and (somewhere or not (self.machines or given.operations or given.allocates))
            and inner.erases <= given.erases
            and inner.destroys_idle <= given.destroys_idle
            and inner.allocates <= given.allocates
            and (self.has_second_person or not needs_second_person(judgement.findings))
        )

    @property
    def has_second_person(self) -> bool:
        """Whether one person made the plan, and another one applies it."""
        return self.plan is not None and self.plan.second_person

    async def use(self, _change: ChangeRequest | None = None) -> None:
        """Apply the plan, if there is one.

        Raises:
            PlanRefusedError: Another call has applied it.
        """
        if self.plan is not None:
            self.applied.claim(self.plan, self.caller)


def needs_approval(call: ToolCall) -> bool:
    """Whether a call needs the user's confirmation or a plan, and has neither."""
    judgement = call.judgement  # a tool that only reads has none
    if judgement is None or call.rehearsal is not None or call.options.plan_id is not None:
        return False
    allowed = judgement.decision.verdict is Verdict.ALLOW
    return not (allowed or (call.approval is not None and call.approval.covers(judgement)))


async def approve(call: ToolCall) -> ToolCall:
    """Return the call with its approval.

    Raises:
        PlanNeededError: The call needs a plan, or a confirmation that the client cannot ask for.
        PlanRefusedError: The plan is not the caller's, or something has changed since.
        NotAnsweredError: The user did not agree.
    """
    if call.judgement is None or call.rehearsal is not None:
        return call
    judgement = call.judgement
    if call.options.plan_id is not None:
        plan = await _open(call, judgement)
        if not fills_in(call.tool):
            check_unchanged(call, plan)
        return replace(call, approval=_approval(call, judgement, Verdict.PLAN, plan))
    if not needs_approval(call):
        return call
    if judgement.decision.verdict is Verdict.CONFIRM and may_ask(call):
        await confirm(call)
        return await _confirmed(call)
    raise _plan_needed(call, judgement)


async def _confirmed(call: ToolCall) -> ToolCall:
    """Return a confirmed call with its approval. The user may have taken minutes, so the call is judged again.

    Raises:
        NotAnsweredError: A machine or the policy has changed since the question.
        MaasMcpError: The policy refuses the call by now, or the machines cannot be read.
    """
    again = await check_policy(call)
    before, now = _judgement_of(call), _judgement_of(again)
    if not is_same(before, now) or now.decision.verdict > Verdict.CONFIRM:
        raise NotAnsweredError(
            "A machine or the policy of this server changed while the user was asked. Nothing was sent to MAAS.",
            hint="Call again. The user is then asked about the machines as they are now.",
        )
    return replace(again, approval=_approval(again, now, Verdict.CONFIRM))


def is_same(before: Judgement, now: Judgement) -> bool:
    """Whether two judgements are about the same machines in the same states."""
    return machine_states(before.call.machines) == machine_states(now.call.machines)


async def approve_filled_in(call: ToolCall, given: ToolCall) -> ToolCall:
    """Return a call with filled-in arguments and its approval. ``given`` is the call with its original arguments.

    Raises:
        MaasMcpError: As for :func:`approve`.
    """
    if call.options.plan_id is None:
        same = call.effects == given.effects and is_same(_judgement_of(given), _judgement_of(call))
        return call if same else await approve(replace(call, approval=None))
    plan = await _open(call, _judgement_of(call))
    check_unchanged(call, plan)
    return replace(call, approval=_approval(call, _judgement_of(call), Verdict.PLAN, plan))


def fills_in(tool: AnyTool) -> bool:
    """Whether the tool fills in its arguments. A plan is compared with the arguments after that."""
    return isinstance(tool, LongRunning) and type(tool).fill_in is not LongRunning.fill_in


def may_ask(call: ToolCall) -> bool:
    """Whether the client's answer counts as the user's."""
    return call.user.can_ask() and call.host.policy.rules.trusts_prompts_of(call.client.name)


async def plan_user(call: ToolCall) -> PlanUser:
    """The user who makes or applies a plan by a call.

    A principal with a MAAS API key of its own is identified as a person by the MAAS user of this key.

    Raises:
        MaasError: MAAS cannot be reached.
    """
    principal = call.principal
    person = f"name {principal.name}" if principal.api_key is None else f"user {await call.tenant.engine.username()}"
    return PlanUser(call.tenant.access, person)


async def _open(call: ToolCall, judgement: Judgement) -> VerifiedPlan:
    """The plan of a call, if its user may apply it.

    Raises:
        PlanRefusedError: The user may not apply it, it has expired, or it is for another tool.
    """
    plan = call.tenant.plan_signer.verify(call.options.plan_id or "")
    mine = plan.was_made_by(await plan_user(call))
    if not needs_second_person(judgement.findings):
        if not mine:
            raise PlanRefusedError
    elif call.principal == LOCAL:
        raise PlanRefusedError(
            "Another person must apply this plan, but without authentication this server cannot distinguish persons.",
            hint=ONE_PERSON_HINT,
        )
    elif not plan.second_person:
        raise PlanRefusedError(*(["The plan was made before the policy required a second person."] if mine else []))
    elif mine:
        raise PlanRefusedError(
            "Another person must apply this plan, because the caller made it.",
            hint="Give the plan_id and the arguments to another person, who then makes the same call.",
        )
    if plan.is_expired:
        raise PlanRefusedError(f"The plan has expired: plans are valid for {LIFETIME // 60} minutes.")
    if plan.tool != call.tool.name:
        raise PlanRefusedError(f"The plan is for {plan.tool}, not for {call.tool.name}.")
    return plan


def check_unchanged(call: ToolCall, plan: VerifiedPlan) -> None:
    """Check that a call is the planned one.

    Raises:
        PlanRefusedError: The arguments or the machines have changed.
    """
    if not plan.has(call.arguments):
        raise PlanRefusedError(
            "The arguments differ from those of the plan.", hint="Pass the same arguments, or make a new plan."
        )
    machines = {each.system_id: each for each in _judgement_of(call).call.machines}
    changes = list(_changes({each.system_id: each for each in plan.states}, machines))
    if changes:
        raise PlanRefusedError(f"The plan no longer holds: {'; '.join(changes)}.")


def _changes(before: dict[SystemId, MachineState], now: dict[SystemId, Machine]) -> Iterator[str]:
    for system_id, state in before.items():
        if system_id not in now:
            yield f"{system_id} was {_status(state)}, and MAAS no longer shows it"
        elif (current := MachineState.of(now[system_id])) != state:
            was, is_now = _differing(state, current), _differing(current, state)
            yield f"{now[system_id].hostname} was {was}, and is now {is_now}"
    for system_id in now.keys() - before.keys():
        yield f"{now[system_id].hostname} ({system_id}) is not part of the plan"


def _differing(state: MachineState, other: MachineState) -> str:
    """The parts of a state that differ from another state."""
    owner = f"owned by {state.owner}" if state.owner else "without an owner"
    parts = (
        (state.status != other.status, _status(state)),
        (state.owner != other.owner and (state.owner is not None or state.status == other.status), owner),
        (state.locked != other.locked, "locked" if state.locked else "not locked"),
        (state.pool != other.pool, f"in the pool {state.pool}"),
        (state.zone != other.zone, f"in the zone {state.zone}"),
    )
    return ", ".join(text for differs, text in parts if differs)


def _status(state: MachineState) -> str:
    known = {int(each): each.display for each in MachineStatus}
    return known.get(state.status, f"in status {state.status}")


def _approval(call: ToolCall, judgement: Judgement, by: Verdict, plan: VerifiedPlan | None = None) -> Approval:
    machines = {*call.effects.machines, *(each.system_id for each in judgement.call.machines)}
    return Approval(
        by, judgement.call.tier, call.effects, frozenset(machines), call.host.applied_plans, call.running, plan
    )


def _judgement_of(call: ToolCall) -> Judgement:
    if call.judgement is None:
        raise TypeError(f"{call.tool.name} was not judged")
    return call.judgement


def _plan_needed(call: ToolCall, judgement: Judgement) -> PlanNeededError:
    arguments: dict[str, Any] = {**call.arguments.model_dump(mode="json", exclude_defaults=True), "plan": True}
    step = NextStep(call.tool.name, arguments, why="Make a plan, which changes nothing")
    if not needs_second_person(judgement.findings):
        then = "If the user agrees, call it again with the same arguments and the plan_id instead of plan."
    elif call.principal == LOCAL:
        then = f"Nobody can apply the plan, because this server cannot distinguish persons. {ONE_PERSON_HINT}"
    else:
        then = "Another person then makes the same call with the plan_id instead of plan."
    return PlanNeededError(
        f"{judgement.decision.reason} This call needs a plan first. Nothing was sent to MAAS.",
        hint=f"Call the tool with plan=true, and show the plan to the user. {then}",
        next_steps=[] if any(secrets_in(call.arguments)) else [step],  # a step without them would be another call
    )
