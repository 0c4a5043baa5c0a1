"""A home directory and a state directory of a user."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home directory, which also has the state, and no keyring."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MAAS_MCP_STATE_DIR", str(tmp_path / "state"))
    return tmp_path
