"""What all tests share."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import hypothesis
import pytest
import trio.testing

collect_ignore = [
    "third_party/maas_mcp_rescue",
    *([] if find_spec("maas") else ["libmaas"]),
    *([] if find_spec("mcp_strict_check") else ["clients"]),
]
"""A third party's own tests, which ``test_rescue_pack.py`` runs. And two that have environments of their own:
python-libmaas, which is old (``tox -e libmaas``), and clients' converters of schemas (``tox -e clients``)."""

# A busy machine is no fault of an example: how long one takes is asserted where it matters.
hypothesis.settings.register_profile("maas-mcp", deadline=None)
hypothesis.settings.load_profile("maas-mcp")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Async tests run on trio's virtual clock: an hour takes no time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_this_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for variable in [name for name in os.environ if name.startswith("MAAS_")]:
            monkeypatch.delenv(variable)
        monkeypatch.setenv("MAAS_MCP_CONFIG", "")
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how the simulator's contract stands, if it was played: ``tests/contract``."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    told = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "contract"]
    if told:
        from tests.contract.table import Row, lines  # noqa: PLC0415 - the simulator is not wanted in every run

        terminalreporter.section("the simulator's contract with MAAS 3.7.3")
        for line in lines(sorted({Row(*each) for each in told}, key=lambda row: row.topic)):
            terminalreporter.write_line(line)
