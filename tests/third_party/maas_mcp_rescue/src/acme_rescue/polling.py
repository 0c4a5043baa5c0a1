"""Tell progress by the boot alone."""

from maas_mcp.api import Evidence, Milestone, Observation, PollingStrategy


class HalfWayOnceItBoots(PollingStrategy):
    """Half-way as soon as the machine asks for its boot files."""

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        if any(event.type == "Performing PXE boot" for event in observation.events):
            return Milestone(0.5, "Booting")
        return evidence.milestone
