"""MAAS's messages for a machine that it cannot switch on or off, in responses and in the events of a deployment."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

BMC_FAILURE: Final = "Failed to complete power action: IPMI: connection timeout"
"""The error of the IPMI driver when the BMC does not answer."""
NO_POWER_TYPE: Final = "Unconfigured power type. Please configure the power type and try again."
"""MAAS's error for a machine without a power type."""
NO_TASK_QUEUE: Final = "Error determining BMC task queue for machine {}"
"""MAAS's error for a deployment that no connected rack controller can power on; takes the system id."""

PowerState = Literal["on", "off", "unknown", "error"]
"""A power state, as MAAS stores it and as a BMC reports it."""

PowerErrors = Literal["driver", "agent"]
"""Whose error MAAS 3.7.3 reports for a failing BMC. Regions of both kinds were recorded."""

ANSWERS: Final[Mapping[PowerErrors, str]] = MappingProxyType(
    {"driver": BMC_FAILURE, "agent": "ExitError: exit status 1"}
)
"""The body of the 500 for a request that needs power."""
REASONS: Final[Mapping[PowerErrors, str]] = MappingProxyType({"driver": BMC_FAILURE, "agent": "Activity task failed"})
"""The reason of a deployment that fails after its 200."""


@dataclass(frozen=True, slots=True)
class BmcFailure:
    """How a BMC fails: with the error of its driver or of the agent, or with ``reason``."""

    errors: PowerErrors = "driver"
    reason: str | None = None

    @property
    def answer(self) -> str:
        """The body of the response to a request that needs power."""
        return self.reason or ANSWERS[self.errors]

    @property
    def deployment(self) -> str:
        """The reason for the failure of a deployment."""
        return self.reason or REASONS[self.errors]


UNCONFIGURED: Final = BmcFailure(reason=NO_POWER_TYPE)
"""The failure of a machine without a power type."""
