"""Judges a call by the site's policy: the response of every rule that applies, and the rule that decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final

from maas_mcp.errors import RefusedByPolicyError
from maas_mcp.maas.models import Machine
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.wording import named
from maas_mcp.policy.configuration import Policy
from maas_mcp.policy.limits import Exceeded, Usage, exceeded
from maas_mcp.policy.protection import protecting_rule
from maas_mcp.policy.tiers import Tier, tier_of

SECOND_PERSON: Final = "second_person"
"""The rule that another person must apply a plan."""
MAX_NAMED: Final = 5
"""Maximum machines that one sentence names."""


LIMIT_HINTS: Final = {
    "per_call": "Name fewer machines.",
    "per_hour": "Wait, or ask the operator of this server to raise the limit.",
    "at_once": "Wait until the running operations have ended.",
}


class Verdict(IntEnum):
    """The response to a call, from the most to the least permissive."""

    ALLOW = 0
    CONFIRM = 1
    PLAN = 2
    REFUSE = 3


@dataclass(frozen=True, slots=True)
class JudgedCall:
    """The facts about a call by which the policy judges it."""

    tool: str
    effects: Effects
    machines: Sequence[Machine]
    """The machines that the call names and MAAS shows, as just read."""
    username: str | None
    """The caller's MAAS user; ``None`` if unknown or not needed."""
    tiers: frozenset[Tier]
    """The tiers that the principal's scopes allow."""
    mode: str
    now: datetime
    """The time, with its time zone."""
    kinds: tuple[str, ...] = ()
    """The kinds of the limits that count the call."""
    counted_as: Sequence[str] = ()
    """The names under which the limits count the call's machines."""
    usage: Mapping[str, Usage] = field(default_factory=dict)
    """The usage of each limit that counts earlier calls."""
    unserved: "Finding | None" = None
    """Why the tool cannot be called at all; ``None`` if it can."""

    tier: Tier = field(init=False)
    """The tier of the call."""

    def __post_init__(self) -> None:
        """Find the tier."""
        object.__setattr__(self, "tier", tier_of(self.effects, self.machines, self.username))


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's response to a call."""

    rule: str
    """The rule, by its place in the configuration: ``protect.tags``, ``modes.standard.destroy`` or ``scopes``."""
    verdict: Verdict
    reason: str
    """A sentence."""
    hint: str | None = None


def limit_finding(tool: str, exceeded: Exceeded) -> Finding:
    """The finding that a call would exceed a limit."""
    return Finding(
        f"limits.{exceeded.kind}.{exceeded.part}",
        Verdict.REFUSE,
        f"{tool} would change {exceeded.reason}.",
        LIMIT_HINTS[exceeded.part],
    )


def refused_by(decision: Finding) -> RefusedByPolicyError:
    """The error for a finding that refuses a call."""
    return RefusedByPolicyError(decision.rule, f"{decision.reason} Nothing was sent to MAAS.", hint=decision.hint)


def judge(policy: Policy, call: JudgedCall) -> list[Finding]:
    """The response of every rule that applies to a call. Of equal responses, the first decides."""
    unserved = [] if call.unserved is None else [call.unserved]
    if not call.effects.changes:
        return [*unserved, Finding("tier.read", Verdict.ALLOW, f"{call.tool} changes nothing in MAAS.")]
    findings = [*_scope(call), *_protected(policy, call), *_frozen(policy, call), *_limited(policy, call)]
    return [*unserved, *findings, *_second_person(policy, call), _mode(policy, call)]


def needs_second_person(findings: Sequence[Finding]) -> bool:
    """Whether somebody other than the person who made the plan must apply it."""
    return any(each.rule == SECOND_PERSON for each in findings)


def deciding(findings: Sequence[Finding]) -> Finding:
    """The finding that decides: the first of the least permissive ones."""
    return max(findings, key=lambda each: each.verdict)


def _scope(call: JudgedCall) -> Iterator[Finding]:
    if call.tier not in call.tiers and not any(each.includes(call.tier) for each in call.tiers):
        yield Finding(
            "scopes",
            Verdict.REFUSE,
            f"{call.tool} requires the scope maas:{call.tier}, which the caller's token lacks.",
            "Ask the operator of this server for a token with that scope.",
        )


def _protected(policy: Policy, call: JudgedCall) -> Iterator[Finding]:
    by_rule: dict[tuple[str, str], list[Machine]] = {}
    for machine in call.machines:
        if found := protecting_rule(policy.protect, machine, call.username):
            by_rule.setdefault(found, []).append(machine)
    for (rule, reason), machines in by_rule.items():
        yield Finding(
            rule,
            Verdict.REFUSE,
            f"{_names(machines)} {'is' if len(machines) == 1 else 'are'} protected: {reason}.",
            "No tool may change a protected machine. The operator of this server decides which machines are protected.",
        )


def _second_person(policy: Policy, call: JudgedCall) -> Iterator[Finding]:
    if kind := next((each for each in (*call.kinds, str(call.tier)) if each in policy.second_person), None):
        yield Finding(
            SECOND_PERSON,
            Verdict.PLAN,
            f"{call.tool} needs a second person ({kind}): one person makes the plan, and another one applies it.",
        )


def _frozen(policy: Policy, call: JudgedCall) -> Iterator[Finding]:
    for number, window in enumerate(policy.freeze):
        end = window.ends(call.now)
        if end is not None and call.tier in window.tiers:
            reason = f": {window.reason.rstrip('.')}" if window.reason else ""
            yield Finding(
                f"freeze.{number}",
                Verdict.REFUSE,
                f"This server refuses calls of the {call.tier} tier until {end:%Y-%m-%d %H:%M %Z}{reason}.",
                "Call again after that time.",
            )


def _limited(policy: Policy, call: JudgedCall) -> Iterator[Finding]:
    for kind in call.kinds:
        usage = call.usage.get(kind, Usage())
        for part, reason in exceeded(policy.limit(kind), usage, call.counted_as, call.effects.allocates):
            yield limit_finding(call.tool, Exceeded(kind, part, reason))


def _mode(policy: Policy, call: JudgedCall) -> Finding:
    mode = policy.mode(call.mode)
    response = mode.destroy if call.tier is Tier.DESTROY else mode.operate
    verdict = Verdict[response.upper()]
    effect = "may destroy a machine's workload or data" if call.tier is Tier.DESTROY else "changes MAAS"
    return Finding(
        f"modes.{call.mode}.{call.tier}",
        verdict,
        f"{call.tool} {effect}, and this server runs in {call.mode} mode.",
        "The operator of this server can change its mode." if verdict is Verdict.REFUSE else None,
    )


def _names(machines: Sequence[Machine]) -> str:
    shown = [named(each) for each in machines[:MAX_NAMED]]
    more = len(machines) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
