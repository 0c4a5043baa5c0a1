"""The public API of plugins and their tests, compared with snapshots so that each change is a decision.

``pytest tests/unit/core/test_public_api.py --snapshot-update`` rewrites the snapshots. Review the diff.
"""

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests.signatures import exported, render

MODULES = ("maas_mcp.api", "maas_mcp.hookspecs", "maas_mcp.testing")


class Text(SingleFileSnapshotExtension):
    """Stores text unchanged."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


@pytest.mark.parametrize("module", MODULES)
def test_a_public_signature_changes_by_decision_only(module: str, snapshot: SnapshotAssertion) -> None:
    others = [each for each in MODULES if each != module]

    assert render(module, exported(module), others) == snapshot(extension_class=Text)
