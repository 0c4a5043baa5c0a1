"""What all tests share."""

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
"""A third party's own tests, which ``test_rescue_pack.py`` runs, and those of clients' converters of schemas, which
have an environment of their own (``tox -e clients``)."""

# A busy machine is no fault of an example: how long one takes is asserted where it matters. tox runs the thorough
# profile, with `--hypothesis-profile thorough`.
hypothesis.settings.register_profile("thorough", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.load_profile("quick")


def pytest_collection_finish() -> None:
    """Everything that is imported by now stays: the garbage collector need not go through it a hundred times."""
    gc.collect()
    gc.freeze()


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
