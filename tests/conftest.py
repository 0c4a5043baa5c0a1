"""What all tests share."""

from importlib.util import find_spec
from typing import Any

import hypothesis
import pytest
import trio.testing

collect_ignore = [] if find_spec("maas") else ["libmaas"]
"""python-libmaas is old and has an environment of its own: ``tox -e libmaas``."""

# A busy machine is no fault of an example: how long one takes is asserted where it matters.
hypothesis.settings.register_profile("maas-mcp", deadline=None)
hypothesis.settings.load_profile("maas-mcp")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Async tests run on trio's virtual clock: an hour takes no time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MAAS_URL", "MAAS_API_KEY", "MAAS_CA_BUNDLE", "MAAS_ALLOW_HTTP"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MAAS_MCP_CONFIG", "")
