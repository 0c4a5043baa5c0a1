"""Each runbook names real tools with valid arguments, and agrees with MAAS."""

import re
from typing import Final

import pytest

from maas_mcp.calls.arguments import parse_arguments
from maas_mcp.maas.statuses import MachineStatus
from maas_mcp.plugins.skills import Skill
from tests.own_plugins import own_tools
from tests.runbooks import PLACEHOLDER, RUNBOOKS, VALUES, calls_of, runbooks

SERVED: Final = own_tools()

each_runbook = pytest.mark.parametrize("skill", runbooks().values(), ids=runbooks())


def test_there_is_a_runbook_for_each_job() -> None:
    assert sorted(runbooks()) == RUNBOOKS


@each_runbook
def test_every_call_names_a_tool_and_valid_arguments(skill: Skill) -> None:
    calls = calls_of(skill)

    assert len(calls) >= 5
    for call in calls:
        parse_arguments(SERVED[call.tool], call.filled(VALUES))


@each_runbook
def test_every_tool_in_the_text_is_called_by_the_runbook(skill: Skill) -> None:
    named = {word for file in skill.files for word in re.findall(r"\w+", file.content.decode()) if word in SERVED}

    assert named == skill.tools == {call.tool for call in calls_of(skill)}


@each_runbook
def test_every_json_block_is_a_call(skill: Skill) -> None:
    assert skill.text.count("```") == 2 * len(calls_of(skill))


@each_runbook
def test_every_argument_of_the_prompt_is_a_value_of_the_runbook(skill: Skill) -> None:
    used = {name for call in calls_of(skill) for value in call.arguments.values() for name in _placeholders(value)}

    assert set(skill.arguments) - {"count"} <= used  # the user's number only limits a choice
    assert {"system_id", "zone", "distro_series"} & set(skill.arguments)


@each_runbook
def test_every_status_in_the_text_is_one_of_maas(skill: Skill) -> None:
    displayed = {status.display for status in MachineStatus}
    text = " ".join(skill.text.split())  # a status may be split by a line break
    emphasized = set(re.findall(r"(?<!\*)\*([A-Z][\w ]+)\*(?!\*)", text))

    assert emphasized
    assert emphasized <= displayed


@each_runbook
def test_every_runbook_says_what_it_destroys_and_when_to_stop(skill: Skill) -> None:
    assert "**Destroys**" in skill.text
    assert re.search(r"\b[Ss]top\b|[Dd]o not", skill.text)


@each_runbook
def test_a_link_in_a_runbook_leads_to_one_of_its_files(skill: Skill) -> None:
    paths = {file.path for file in skill.files}

    assert set(re.findall(r"\]\(([^)]+)\)", " ".join(skill.text.split()))) == paths - {"SKILL.md"}


def _placeholders(value: object) -> list[str]:
    return PLACEHOLDER.findall(value) if isinstance(value, str) else []
