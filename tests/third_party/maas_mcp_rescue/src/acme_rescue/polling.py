"""A polling strategy that reports progress only by the boot."""

from maas_mcp.api import Evidence, Milestone, Observation, PollingStrategy


class HalfWayOnceItBoots(PollingStrategy):
    """Reports 50 % when the machine requests its boot files."""

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        if any(event.type == "Performing PXE boot" for event in observation.events):
            return Milestone(0.5, "Booting")
        return evidence.milestone
