"""Progress of commissioning and testing: boot events first, then the scripts one by one."""

import re
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Final

from maas_mcp.maas.models import ScriptResult, ScriptSet, ScriptSetName, ScriptStatus
from maas_mcp.operations.judging.assessment import Milestone
from maas_mcp.operations.judging.evidence import Evidence, Needs, Observation
from maas_mcp.operations.judging.strategies import EventPolling, Phase, PollingStrategy

PENDING: Final = ScriptStatus.PENDING
RUNNING: Final = frozenset(
    {
        ScriptStatus.RUNNING,
        ScriptStatus.INSTALLING_DEPENDENCIES,
        ScriptStatus.APPLYING_NETWORK_CONFIGURATION,
    }
)
MIN_WEIGHT: Final = 1.0
"""Minimum weight of a script in seconds. MAAS estimates from earlier runtimes in whole seconds, often zero."""
UNTIMED_SHARE: Final = 0.5
"""The completed share of a running script if MAAS does not report its runtime (3.7 does not)."""
MAX_RUNNING_SHARE: Final = 0.95
"""The maximum completed share of a running script, even if it exceeds its estimate."""

_DURATION: Final = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)")


class ScriptPolling(PollingStrategy):
    """Progress from the boot events, then from MAAS's script sets.

    Each script is weighted by MAAS's estimate of its runtime, or by the average of the others if MAAS has none.

    Args:
        phases: The milestones before the first script, with fractions up to ``1 - share``.
        script_sets: All script sets that the operation runs.
        share: The fraction of the total progress that the scripts take.
    """

    def __init__(self, phases: Sequence[Phase], script_sets: Collection[ScriptSetName], *, share: float = 0.7) -> None:
        self._boot = EventPolling(phases)
        self.phases = self._boot.phases
        boot = round(1 - share, 6)  # 1 - 0.8 is a little less than 0.2
        if not 0 < share <= 1 or not script_sets or any(phase.fraction > boot for phase in self.phases):
            fractions = [phase.fraction for phase in self.phases]
            raise ValueError(
                f"ScriptPolling: expected script sets, a share above 0.0 and up to 1.0, and phases up to 1 - share "
                f"({boot:g}); got {sorted(map(str, script_sets))}, {share:g} and {fractions}. "
                "Lower the phases' fractions: the rest belongs to the scripts."
            )
        self.share = share
        self.needs = Needs(script_sets=frozenset(script_sets))

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        """Return the furthest boot phase or, once a script has started, the progress of the scripts."""
        boot = self._boot.measure(evidence, observation)
        results = list(
            chain.from_iterable(
                scripts.results
                for name, scripts in sorted(observation.script_sets.items())
                if name in self.needs.script_sets and _is_of_this_run(evidence, scripts)
            )
        )
        if all(result.status == PENDING for result in results):
            return boot
        return Milestone(
            max(boot.fraction or 0.0, 1 - self.share + self.share * completed_fraction(results)), _message(results)
        )


def _is_of_this_run(evidence: Evidence, scripts: ScriptSet) -> bool:
    """Whether a script set belongs to this run. MAAS keeps sets forever, and a run need not have one of every kind.

    The earlier sets are unknown if another user started the run. Then a set belongs to an earlier run if one of its
    scripts started before the run. If no event shows when the run started, a set counts while it has unfinished
    scripts.
    """
    baseline, began = evidence.baseline, evidence.timeline.began
    if scripts.id in baseline.runs:
        return False
    if baseline.runs:
        return True
    if began is None or began.at is None:
        return any(_is_unfinished(each) for each in scripts.results)
    return all(each.starttime is None or each.starttime >= began.at for each in scripts.results)


def _is_unfinished(result: ScriptResult) -> bool:
    return result.status == PENDING or result.status in RUNNING


def completed_fraction(results: Sequence[ScriptResult]) -> float:
    """Return the completed fraction of the scripts, from 0.0 to 1.0."""
    estimates = [parse_duration(result.estimated_runtime) for result in results]
    known = [max(estimate, MIN_WEIGHT) for estimate in estimates if estimate is not None]
    usual = sum(known) / len(known) if known else MIN_WEIGHT
    weights = [usual if estimate is None else max(estimate, MIN_WEIGHT) for estimate in estimates]
    parts = [weight * _completed_share(result, weight) for result, weight in zip(results, weights, strict=True)]
    return sum(parts) / sum(weights)


def _completed_share(result: ScriptResult, weight: float) -> float:
    if result.status == PENDING:
        return 0.0
    if result.status not in RUNNING:
        return 1.0
    ran = parse_duration(result.runtime)
    return UNTIMED_SHARE if ran is None else min(ran / weight, MAX_RUNNING_SHARE)


def parse_duration(duration: str) -> float | None:
    """Parse ``H:MM:SS`` or ``D days, H:MM:SS`` into seconds; return ``None`` for ``Unknown`` and the like."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)


def _message(results: Sequence[ScriptResult]) -> str:
    ended = sum(result.status != PENDING and result.status not in RUNNING for result in results)
    failed = sum(result.failed for result in results)
    running = [result.name for result in results if result.status in RUNNING]
    if not running:
        message = f"{ended} of {len(results)} scripts have ended"
    elif len(running) == 1:
        message = f"Running {running[0]} ({ended + 1} of {len(results)})"
    else:
        message = f"Running {running[0]} and {len(running) - 1} more ({ended} of {len(results)} have ended)"
    return message + (f", {failed} failed" if failed else "")
