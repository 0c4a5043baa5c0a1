"""Checks each change just before it is sent, so that no tool changes a protected machine.

The chain judges a call by the machines that its tool declares. A tool may declare them wrongly, MAAS may choose a
machine, and a machine may become protected while a call waits. This check judges the requests themselves.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import anyio

from maas_mcp.calls.active_policy import ActivePolicy
from maas_mcp.errors import MaasNotFoundError, RefusedByPolicyError
from maas_mcp.maas.change_request import ALLOCATE, ChangeRequest
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.forms import FormValue
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.operations.wording import named
from maas_mcp.policy.protection import protecting_rule

FRESH: Final = 10.0
"""Seconds for which a judged machine is not read again."""
_EXCLUDED: Final = {"tags": "not_tags", "pools": "not_in_pool", "zones": "not_in_zone"}
_WANTED: Final = {"tags": "tags", "pools": "pool", "zones": "zone"}
_LISTED_AT: Final = {"tags": "tags/", "pools": "resourcepools/", "zones": "zones/"}


class RequestGuard:
    """Checks the requests of one user by the policy.

    Args:
        policy: The policy in effect.
        username: Returns the name of the API key's user.
    """

    def __init__(self, policy: ActivePolicy, username: Callable[[], Awaitable[str]]) -> None:
        self._policy = policy
        self._username = username
        self._judged: dict[SystemId, float] = {}

    def note_judged(self, machines: Collection[Machine]) -> None:
        """Note that the policy has just judged these machines."""
        if not machines:
            return
        now = anyio.current_time()
        self._judged = {each: at for each, at in self._judged.items() if at > now - FRESH}
        self._judged.update((each.system_id, now) for each in machines)

    async def check(self, maas: MaasClient, request: ChangeRequest) -> None:
        """Refuse a change of a protected machine, and every change in a mode that allows none.

        Raises:
            RefusedByPolicyError: The policy does not allow the request.
            MaasError: A machine cannot be read.
        """
        if self._policy.mode.reads_only:
            raise RefusedByPolicyError(
                f"modes.{self._policy.mode_name}",
                f"This server's {self._policy.mode_name} mode allows no changes. The request was not sent to MAAS.",
            )
        if not self._policy.rules.protect.protects_any:
            return
        now = anyio.current_time()
        for system_id in request.system_ids:
            if self._judged.get(system_id, -FRESH) > now - FRESH:
                continue
            try:
                machine = await maas.machine(system_id)
            except MaasNotFoundError:
                continue  # not a machine, or one that the caller cannot see: MAAS refuses the request
            await self._refuse_protected(machine)
            self.note_judged([machine])

    async def _refuse_protected(self, machine: Machine) -> None:
        protection = self._policy.rules.protect
        username = await self._username() if protection.other_owners and machine.owner is not None else None
        if found := protecting_rule(protection, machine, username):
            rule, reason = found
            raise RefusedByPolicyError(
                rule,
                f"{named(machine)} is protected: {reason}. The request was not sent to MAAS.",
                hint="No tool may change a protected machine. The operator of this server decides which machines are "
                "protected.",
            )

    async def constrain(self, maas: MaasClient, form: Mapping[str, FormValue]) -> Mapping[str, FormValue]:
        """Add constraints to an allocation, so that MAAS chooses no protected machine.

        MAAS has constraints that exclude tags, pools and zones, and rejects unknown names in them. It has none that
        excludes hostnames, so a dry run shows the machine that it would choose.

        Raises:
            RefusedByPolicyError: The allocation wants protected machines, or MAAS would choose one with a protected
                hostname.
        """
        protection, constrained = self._policy.rules.protect, dict(form)
        for rule, constraint in _EXCLUDED.items():
            names: Collection[str] = getattr(protection, rule)
            _refuse_wanted(f"protect.{rule}", names, _names(form.get(_WANTED[rule])))
            if excluded := await _existing(maas, _LISTED_AT[rule], names):
                constrained[constraint] = [*_names(form.get(constraint)), *excluded]
        if protection.hostnames and not form.get("dry_run"):
            answer = await maas.post_op(*ALLOCATE, **{**constrained, "dry_run": True})
            chosen = Machine.model_validate(answer)
            await self._refuse_protected(chosen)
            constrained["system_id"] = chosen.system_id  # otherwise MAAS might choose another one now
        return constrained


def _refuse_wanted(rule: str, protected: Collection[str], wanted: Collection[str]) -> None:
    """Refuse an allocation that only protected machines match. MAAS would answer that no machine does."""
    if both := sorted(set(protected).intersection(name for each in wanted for name in re.split(r"[,\s]+", each))):
        noun = _WANTED[rule.removeprefix("protect.")].removesuffix("s")
        raise RefusedByPolicyError(
            rule,
            f"Machines with the {noun} {', '.join(both)} are protected. The request was not sent to MAAS.",
            hint="Request other machines. The operator of this server decides which machines are protected.",
        )


def _names(value: FormValue) -> list[str]:
    """The names in a constraint: one, several, or none."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)  # type: ignore[arg-type] # no number


async def _existing(maas: MaasClient, path: str, names: Collection[str]) -> list[str]:
    """The names that MAAS knows. Sends no request if ``names`` is empty."""
    if not names:
        return []
    listed = await maas.get(path)
    known = {each.get("name") for each in listed if isinstance(each, dict)} if isinstance(listed, list) else set()
    return [name for name in names if name in known]
