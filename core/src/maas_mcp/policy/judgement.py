"""Judges a call by the site's policy: every rule that applies, and the one that decides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from maas_mcp.maas.models import Machine
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.policy.configuration import Policy
from maas_mcp.policy.protection import protecting_rule
from maas_mcp.policy.tiers import Tier, tier_of

MAX_NAMED = 5
"""Machines that one sentence names."""


class Verdict(IntEnum):
    """The response to a call, from the widest to the narrowest."""

    ALLOW = 0
    CONFIRM = 1
    PLAN = 2
    REFUSE = 3


@dataclass(frozen=True, slots=True)
class JudgedCall:
    """A call, as far as the policy needs it."""

    tool: str
    effects: Effects
    machines: Sequence[Machine]
    """The named machines that MAAS shows, as just read."""
    username: str | None
    """The caller's MAAS user; ``None`` if unknown or not needed."""
    tiers: frozenset[Tier]
    """The tiers that the principal's scopes allow."""
    mode: str
    unserved: "Finding | None" = None
    """Why the tool cannot be called at all; ``None`` if it can."""

    @property
    def tier(self) -> Tier:
        """The tier of the call."""
        return tier_of(self.effects, self.machines, self.username)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's response to a call."""

    rule: str
    """The rule, by its place in the configuration: ``protect.tags``, ``modes.standard.destroy`` or ``scopes``."""
    verdict: Verdict
    reason: str
    """A sentence."""
    hint: str | None = None
    machines: tuple[str, ...] = field(default=())
    """The system ids of the machines that the rule refuses."""


def judge(policy: Policy, call: JudgedCall) -> list[Finding]:
    """Every rule's response to a call, in the order in which they decide."""
    unserved = [] if call.unserved is None else [call.unserved]
    if not call.effects.changes:
        return [*unserved, Finding("tier.read", Verdict.ALLOW, f"{call.tool} changes nothing in MAAS.")]
    return [*unserved, *_scope(call), *_protected(policy, call), _mode(policy, call)]


def deciding(findings: Sequence[Finding]) -> Finding:
    """The finding that decides: the narrowest, and of several the first."""
    return max(findings, key=lambda each: each.verdict)


def _scope(call: JudgedCall) -> Iterator[Finding]:
    if not any(each.includes(call.tier) for each in call.tiers):
        yield Finding(
            "scopes",
            Verdict.REFUSE,
            f"{call.tool} requires the scope maas:{call.tier}, which your token lacks.",
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
            "No tool changes a protected machine. The operator of this server decides which machines are protected.",
            tuple(each.system_id for each in machines),
        )


def _mode(policy: Policy, call: JudgedCall) -> Finding:
    mode = policy.mode(call.mode)
    response = mode.destroy if call.tier is Tier.DESTROY else mode.operate
    verdict = Verdict[response.upper()]
    effect = "may destroy what runs or lies on a machine" if call.tier is Tier.DESTROY else "changes MAAS"
    return Finding(
        f"modes.{call.mode}.{call.tier}",
        verdict,
        f"{call.tool} {effect}, and this server runs in the mode {call.mode}.",
        "The operator of this server can change its mode." if verdict is Verdict.REFUSE else None,
    )


def _names(machines: Sequence[Machine]) -> str:
    shown = [f"{each.hostname} ({each.system_id})" for each in machines[:MAX_NAMED]]
    more = len(machines) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
