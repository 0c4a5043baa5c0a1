"""BMCs that fail, and MAAS's messages for machines that it cannot switch on or off, or query."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

BMC_FAILURE: Final = "Failed to complete power action: IPMI: connection timeout"
"""The error of the IPMI driver when the BMC does not answer."""
DRIVER_ERRORS: Final[Mapping[str, str]] = {
    "webhook": "Failed to complete power action: Request failed with response status code: 500."
}
"""The errors of other drivers, by power type."""
AGENT_ERROR: Final = "ExitError: exit status 1"
NO_POWER_TYPE: Final = "Unconfigured power type. Please configure the power type and try again."
"""MAAS's error for a machine without a power type."""
NO_TASK_QUEUE: Final = "Error determining BMC task queue for machine {}"
"""MAAS's error for a machine whose BMC no connected rack controller can reach; takes the system id."""

PowerState = Literal["on", "off", "unknown", "error"]
"""A power state, as MAAS stores it and as a BMC reports it."""

PowerErrors = Literal["driver", "agent"]
"""Whose error MAAS 3.7.3 reports for a failing BMC. Regions of both kinds were recorded."""

BmcMode = Literal["down", "slow", "no on", "no off", "no query", "stays off", "stays on", "unroutable"]
"""How a BMC fails: ``down`` fails always; ``no on``, ``no off`` and ``no query`` fail to do this one thing. A BMC that
``stays off`` or ``stays on`` accepts all commands, and its machine does not change. An ``unroutable`` BMC works, but no
rack controller can reach it. A ``slow`` one works. MAAS ends switching with a query, so that ``no query`` fails it as
well."""

Command = Literal["on", "off", "query"]

_REFUSED: Final[Mapping[BmcMode, tuple[Command, ...]]] = {
    "no on": ("on",),
    "stays off": ("on",),
    "no off": ("off",),
    "stays on": ("off",),
    "slow": (),
}
"""The commands that fail. In all other modes these are all."""


@dataclass(frozen=True, slots=True)
class BmcFailure:
    """How a BMC fails, and with whose error or with which ``reason``."""

    errors: PowerErrors = "driver"
    reason: str | None = None
    mode: BmcMode = "down"
    seconds: float = 0.0
    """How many real seconds every command takes, also one that fails."""

    def refuses(self, command: Command, real: str) -> bool:
        """Whether a command fails for a machine whose real power state is this."""
        unchanged = self.mode.startswith("stays") and command == real
        return command in _REFUSED.get(self.mode, (command,)) and not unchanged

    def answer(self, power_type: str, system_id: str) -> str:
        """The body of the 500 for a request that needs power."""
        if self.mode == "unroutable":
            return NO_TASK_QUEUE.format(system_id)
        return self.reason or (AGENT_ERROR if self.errors == "agent" else DRIVER_ERRORS.get(power_type, BMC_FAILURE))

    def deployment(self, power_type: str, system_id: str) -> str:
        """The reason of a deployment that fails after its 200."""
        agent = self.errors == "agent" and not self.reason and self.mode != "unroutable"
        return "Activity task failed" if agent else self.answer(power_type, system_id)


UNCONFIGURED: Final = BmcFailure(reason=NO_POWER_TYPE)
"""The failure of a machine without a power type."""
