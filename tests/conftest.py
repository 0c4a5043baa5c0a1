"""Configuration and fixtures of all tests."""

import gc
import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import hypothesis
import pytest
import trio.testing

collect_ignore = [
    "third_party/maas_mcp_rescue",
    *([] if find_spec("mcp_strict_check") else ["clients"]),
]
"""Tests that pytest does not collect here: those of a third-party plugin, which ``test_rescue_pack.py`` runs, and those
of real clients with the MCP conformance suite, which need an environment of their own (``tox -e clients``)."""

# Examples have no deadline, because a busy machine is slow. Tests assert times where they matter. tox runs the thorough
# profile with `--hypothesis-profile thorough`.
hypothesis.settings.register_profile("thorough", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.load_profile("quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the sizes of the fuzz tests and of the search for secrets."""
    parser.addoption("--fuzz", type=int, default=500, help="Messages for each transport and era in the fuzz tests.")
    parser.addoption("--canary-lines", type=int, default=4_000, help="Log lines in which no secret may be, in total.")


gc.disable()  # until all modules are imported, which leaves little garbage


def pytest_collection_finish() -> None:
    """Exclude the imported modules from garbage collection, which takes a tenth of the time otherwise."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    gc.enable()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run async tests on trio's virtual clock, where an hour takes no time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use neither the settings of this machine nor the secret, the logins and the audit in its state directory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for variable in [name for name in os.environ if name.startswith("MAAS_")]:
            monkeypatch.delenv(variable)
        monkeypatch.setenv("MAAS_MCP_CONFIG", "")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
