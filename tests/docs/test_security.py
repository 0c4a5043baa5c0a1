"""The page on security names tests that exist, and every security test of access over HTTP is on it."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from maas_mcp.calls.principal import Scope
from tests.docs.snippets import ROOT, snippets

PAGE = ROOT / "docs/explanation/security.md"
COMPLETE = (
    "tests/integration/test_http_access.py",
    "tests/unit/core/server/http/test_gate.py",
)
"""Files of tests whose names are all threats, or the opposite of one."""


def rows() -> list[list[str]]:
    """The rows of all tables, without their heads."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in {"Threat", "---"}]


def defined() -> set[str]:
    """The names of all tests of this project."""
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "simulator/tests").rglob("test_*.py")]
    return {name for file in files for name in names(file)}


def names(file: Path) -> list[str]:
    return re.findall(r"^\s*(?:async )?def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_threat_has_a_protection_and_a_test_that_exists() -> None:
    tests = defined()
    assert len(rows()) >= 40
    for threat, protection, shown in rows():
        named = re.findall(r"`(\w+)`", shown)
        assert protection, threat
        assert named, threat
        assert set(named) <= tests, threat


def test_no_threat_is_listed_twice() -> None:
    assert [threat for threat, count in Counter(row[0] for row in rows()).items() if count > 1] == []


@pytest.mark.parametrize("file", COMPLETE)
def test_every_protection_that_is_tested_is_listed(file: str) -> None:
    listed = {name for row in rows() for name in re.findall(r"`(\w+)`", row[2])}
    other = {
        "test_a_body_that_is_slow_and_arrives_in_time_is_passed_on",
        "test_a_maas_api_key_without_authentication_is_refused",
    }
    assert set(names(ROOT / file)) - other <= listed


def test_the_scopes_of_the_example_for_keycloak_are_those_of_the_server() -> None:
    shown = snippets(ROOT / "docs/how-to/oauth-with-keycloak.md")
    (loop,) = (each.text for each in shown if "kcadm.sh" in each.text)
    listed = re.search(r"for scope in (.+); do", loop)
    assert listed
    assert listed[1].split() == list(Scope)
    (template,) = (json.loads(each.text) for each in shown if each.language == "json")
    assert template["attributes"]["include.in.token.scope"] == "true"
    url = template["protocolMappers"][0]["config"]["included.custom.audience"]
    assert any(f"export MAAS_MCP_HTTP_URL={url}" in each.text for each in shown)
