"""MAAS's words for a machine that it cannot switch on or off: in the answer, and in the log of a deployment."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

BMC_FAILURE: Final = "Failed to complete power action: IPMI: connection timeout"
"""What the driver of an IPMI BMC says when the BMC does not answer."""
NO_POWER_TYPE: Final = "Unconfigured power type. Please configure the power type and try again."
"""What MAAS says of a machine of which it does not know how to switch it on and off."""
NO_TASK_QUEUE: Final = "Error determining BMC task queue for machine {}"
"""What MAAS says, with the system id, of a deployment that no connected rack controller could power on."""

PowerState = Literal["on", "off", "unknown", "error"]
"""What MAAS has stored of a machine's power, and what its BMC can say."""

PowerErrors = Literal["driver", "agent"]
"""Whose words a region of MAAS 3.7.3 gives for a BMC that fails: regions of both kinds were seen."""

ANSWERS: Final[Mapping[PowerErrors, str]] = MappingProxyType(
    {"driver": BMC_FAILURE, "agent": "ExitError: exit status 1"}
)
"""The body of the 500 with which a request for power is answered."""
REASONS: Final[Mapping[PowerErrors, str]] = MappingProxyType({"driver": BMC_FAILURE, "agent": "Activity task failed"})
"""The reason of a deployment that was answered with 200 and fails then."""


@dataclass(frozen=True, slots=True)
class BmcFailure:
    """How a BMC fails: in the words of its driver, of the agent, or in those of ``reason``."""

    errors: PowerErrors = "driver"
    reason: str | None = None

    @property
    def answer(self) -> str:
        """What a request for power is answered."""
        return self.reason or ANSWERS[self.errors]

    @property
    def deployment(self) -> str:
        """What a deployment fails with."""
        return self.reason or REASONS[self.errors]


UNCONFIGURED: Final = BmcFailure(reason=NO_POWER_TYPE)
"""A machine without a power type."""
