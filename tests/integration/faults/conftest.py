"""The operations as a parameter, and the table of the counts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.faults.jobs import SINGLE, Job
from tests.integration.faults.tally import PROPERTY, Row, Tally, table


@pytest.fixture(params=SINGLE, ids=str)
def job(request: pytest.FixtureRequest) -> Job:
    """Each operation on one machine."""
    job: Job = request.param
    return job


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Records the counts of a test."""
    return Tally(record_property)


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A state directory that servers share, as the servers of one user do."""
    return str(tmp_path / "state")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [each for group in terminalreporter.stats.values() for each in group]
    calls = [each for each in reports if getattr(each, "when", None) == "call"]
    lines = table(Row(**row) for each in calls for name, row in each.user_properties if name == PROPERTY)
    if lines:
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
