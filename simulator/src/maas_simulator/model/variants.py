"""How regions of one version of MAAS were seen to differ."""

from typing import Literal

from pydantic.dataclasses import dataclass as checked

from maas_simulator.model.faults import STRICT


@checked(frozen=True, config=STRICT)
class Variant:
    """Which of two ways a region goes where two regions of MAAS 3.7.3 went different ways; left out, the second's."""

    local_boot_events: bool = False
    """Whether a machine that boots from its own disk writes PXE events; a deployment has them twice then."""
    rescue_boot: Literal["commissioning", "rescue mode"] = "rescue mode"
    """The purpose in the PXE event of a machine that enters rescue mode."""
