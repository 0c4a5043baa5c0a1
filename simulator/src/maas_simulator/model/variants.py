"""Differences between regions of one version of MAAS."""

from typing import Literal

from pydantic.dataclasses import dataclass as checked

from maas_simulator.model.faults import STRICT


@checked(frozen=True, config=STRICT)
class Variant:
    """The behaviour where two recorded regions of MAAS 3.7.3 differ; by default that of the second."""

    local_boot_events: bool = False
    """Whether a boot from the local disk adds PXE events. A deployment then has two pairs of them."""
    rescue_boot: Literal["commissioning", "rescue mode"] = "rescue mode"
    """The purpose in the PXE event of a machine that enters rescue mode."""
