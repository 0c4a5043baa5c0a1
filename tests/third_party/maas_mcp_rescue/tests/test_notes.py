"""Tests of the notes: settings, lifespans, a resource, its updates and a completion."""

import json
import subprocess
import sys

import pytest
from acme_rescue.notes import Authors, Note, WriteNote

from maas_mcp.api import InvalidArgumentsError, ResourceNotFoundError
from maas_mcp.testing import MaasRegion


def test_a_note_is_signed_with_the_callers_name(maas_region: MaasRegion) -> None:
    assert maas_region.call(WriteNote, "node01", text="The fan is loud", username="bob").note == "The fan is loud (bob)"


def test_a_machine_without_a_note_has_no_resource(maas_region: MaasRegion) -> None:
    with pytest.raises(ResourceNotFoundError, match="no note about 7xneda"):
        maas_region.read(Note, "node01")


def test_the_length_of_a_note_is_a_setting(maas_region: MaasRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_NOTES_LONGEST", "5")
    with pytest.raises(InvalidArgumentsError, match="longer than 5 characters"):
        maas_region.call(WriteNote, "node01", text="The fan is loud")


def test_an_author_is_found_by_the_beginning_of_the_name(maas_region: MaasRegion) -> None:
    assert maas_region.complete(Authors, "bo") == ["bob"]


def test_the_plugin_is_listed_with_its_resource_and_settings() -> None:
    output = subprocess.check_output([sys.executable, "-m", "maas_mcp", "plugins", "--json"], timeout=60)
    (notes,) = (each for each in json.loads(output) if each["name"] == "notes")
    assert (notes["state"], notes["error"]) == ("loaded", None)
    assert notes["resources"] == ["notes://machines/{system_id}"]
    assert notes["settings"] == ["MAAS_MCP_NOTES_LONGEST"]
