"""The project's runbooks, and the calls in them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from maas_mcp.plugins.registry import load_registry
from maas_mcp.plugins.skills import Skill, read_skills
from tests.own_plugins import OWN_PLUGINS

BLOCK: Final = re.compile(r"^```json\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
RUNBOOKS: Final = [
    "bring-in-new-machines",
    "deploy-a-group",
    "find-out-why-it-failed",
    "re-image-a-rack",
    "replace-a-disk",
    "take-out-of-service",
]
"""The names of all runbooks, sorted."""
PLACEHOLDER: Final = re.compile(r"<(\w+)>")
VALUES: Final[Mapping[str, Any]] = {
    "disk": "sda",
    "distro_series": "noble",
    "first_system_id": "7xneda",
    "next_system_id": "7xneda",
    "operation_id": "x" * 40,
    "other_system_ids": ["fyc3ff", "ndn36c"],
    "pool": "compute",
    "reason": "BIOS update",
    "system_id": "7xneda",
    "system_ids": ["7xneda"],
    "tags": ["ssd"],
    "zone": "az1",
}
"""A value for each placeholder."""


@dataclass(frozen=True)
class CallBlock:
    """A call in a runbook. A string that is only ``<name>`` stands for a value of any type."""

    tool: str
    arguments: Mapping[str, Any]

    def filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with values for the placeholders. An argument is left out if its value is ``None``."""
        filled = {name: _fill(value, values) for name, value in self.arguments.items()}
        return {name: value for name, value in filled.items() if value is not None}


def _fill(value: Any, values: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    if whole := PLACEHOLDER.fullmatch(value):
        return values[whole[1]]
    return PLACEHOLDER.sub(lambda match: str(values[match[1]]), value)


def calls_of(skill: Skill) -> list[CallBlock]:
    """The calls of a runbook, in order."""
    return [CallBlock(**json.loads(text)) for text in BLOCK.findall(skill.text)]


@cache
def runbooks() -> Mapping[str, Skill]:
    """The runbooks of the project's plugins, by name."""
    skills, broken = read_skills(load_registry(allow=OWN_PLUGINS, strict=True).skills)
    assert not broken
    return MappingProxyType({skill.name: skill for skill in skills})
