"""The operations on a machine as a table: who may request each, in which statuses, and what it does."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from maas_simulator.model.forms import Form
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import conflict, invalid
from maas_simulator.model.statuses import (
    COMMISSIONABLE,
    DEPLOYABLE,
    RELEASABLE,
    RESCUABLE,
    RESCUE_LEAVABLE,
    TESTABLE,
    Status,
)
from maas_simulator.operations import instant_operations as instant
from maas_simulator.operations import timed_operations as timed
from maas_simulator.state import RegionState

Permission = Literal["edit", "lock", "admin", "superuser", "owner"]
"""See ``PERMISSIONS``."""
STATE: Final = "{} is not available because of the current state of the node."


@dataclass(frozen=True)
class Rule:
    """An operation on a machine."""

    permission: Permission
    act: timed.Operate
    statuses: Collection[Status] = frozenset(Status)
    otherwise: str = ""
    """MAAS's message in other statuses, with their name and the machine's system id."""
    is_form: bool = False
    """Whether a form checks the status, and with it the lock. The message is a 400 then, and not a 409."""
    takes_json: bool = False
    """Whether it reads parameters from a JSON body, as few do in MAAS 3.7."""
    keeps: tuple[str, ...] = ("power_state", "ip_addresses")
    """The fields whose old values the response shows."""
    says: Mapping[Status, str] = field(default_factory=dict)
    """The ``status_message`` of the response by old status, if later events replace it at once."""

    def carry_out(self, region: RegionState, machine: SimulatedMachine, username: str, form: Form) -> None:
        """Carry out the operation without a check of the permission; raises a ``Refusal``."""
        if machine.status not in self.statuses or (self.is_form and machine.locked):
            words = self.otherwise.format(status=machine.status_name, system_id=machine.system_id)
            raise invalid("__all__", words) if self.is_form else conflict(words)
        self.act(region, machine, username, form)


SCRIPTS: Final = tuple(
    f"{kind}_status{name}" for kind in ("commissioning", "testing", "storage_test") for name in ("", "_name")
)

RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "deploy": Rule("edit", timed.deploy, DEPLOYABLE, "Can't deploy a machine that is in the '{status}' state"),
        "commission": Rule(
            "superuser", timed.commission, COMMISSIONABLE, STATE.format("Commission"), is_form=True, takes_json=True
        ),
        "test": Rule("superuser", timed.test, TESTABLE, STATE.format("Test"), is_form=True, takes_json=True),
        "release": Rule(
            "edit",
            timed.release,
            RELEASABLE | {Status.READY, Status.RELEASING},
            "Machine cannot be released in its current state ('{status}').",
            takes_json=True,
        ),
        "abort": Rule(
            "edit",
            timed.abort,
            timed.ABORTS,
            "Cannot abort in current state: node {system_id} is in state {status}.",
            keeps=("status", "status_name", "power_state", *SCRIPTS),
            says={status: aborted for status, (_, aborted, _) in timed.ABORTS.items()},
        ),
        "rescue_mode": Rule(
            "admin", timed.rescue_mode, RESCUABLE, "Invalid transition: {status} -> Entering rescue mode."
        ),
        "exit_rescue_mode": Rule(
            "admin", timed.exit_rescue_mode, RESCUE_LEAVABLE, "Invalid transition: {status} -> Exiting rescue mode."
        ),
        "lock": Rule("lock", instant.lock),
        "unlock": Rule("lock", instant.unlock),
        "mark_broken": Rule("owner", instant.mark_broken),
        "mark_fixed": Rule("admin", instant.mark_fixed, {Status.BROKEN}, "Can't mark a non-broken node as 'Ready'."),
        "override_failed_testing": Rule(
            "admin",
            instant.override_failed_testing,
            {Status.FAILED_TESTING},
            "Unable to override node status. Node is not in 'Failed testing' status.",
        ),
        "power_on": Rule(
            "edit", instant.power_on, keeps=("power_state", "ip_addresses", "osystem", "distro_series", "hwe_kernel")
        ),
        "power_off": Rule("edit", instant.power_off),
    }
)
"""The operations by name."""
