"""The built-in scripts of MAAS 3.7.3, as records of the table ``Script``."""

import json
from pathlib import Path
from typing import Final

from maas_simulator.model.records import Record, Tables
from maas_simulator.model.scripts import ScriptResult, SetType

NODE, STORAGE = 0, 3
"""Two of the values of ``hardware_type``."""
DEFAULT_TEST: Final = "smartctl-validate"
WIPE_DISKS: Final = "wipe-disks"
"""The release script that erases the disks."""
BMC_SCRIPT: Final = "30-maas-01-bmc-config"
USUAL_SECONDS: Final = 10.0
"""How many simulated seconds a script of a user takes."""

NEW_SCRIPT: Final[Record] = {
    **dict.fromkeys(("title", "description"), ""),
    **dict.fromkeys(("destructive", "default", "may_reboot", "recommission", "apply_configured_networking"), False),
    **dict.fromkeys(("packages", "parameters", "results")),
    "type": int(SetType.TESTING),
    "hardware_type": NODE,
    "parallel": 0,
    "timeout": 0,
    "tags": [],
    "for_hardware": [],
    "seconds": USUAL_SECONDS,
}
"""The fields of a new script. ``timeout`` is in seconds; ``seconds`` is its length in simulated seconds."""


def _read() -> tuple[Record, ...]:
    read = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    nothing: Record = {"packages": {}, "parameters": {}, "results": {}}
    return tuple(
        {**NEW_SCRIPT, **nothing, "default": True, "description": given["title"], **given, "id": number}
        for number, given in enumerate(read, 1)
    )


BUILT_IN: Final = {script["name"]: script for script in _read()}
"""By name, in the order in which MAAS ships them."""


def add_built_in_scripts(tables: Tables, now: float) -> None:
    """Add the scripts to a new region. The text of a script is a placeholder, because nothing runs it."""
    for script in BUILT_IN.values():
        add_revision(
            tables, tables["Script"].add(**script), f"#!/bin/sh\n# {script['title']}\n", "Created by maas-None", now
        )


TARGETS: Final = ("storage", "interface")
"""The types of parameters whose value is a part of the machine."""


def add_revision(tables: Tables, record: Record, data: str, comment: str | None, now: float) -> None:
    """Make a text the newest of a script or DHCP snippet. Both number their revisions together."""
    revision = tables["VersionedTextFile"].add(data=data, comment=comment, created=now)
    record["history"] = [revision, *record.get("history", ())]


def script_of(result: ScriptResult) -> Record:
    """The script of a result, other than the log of an installation."""
    return result.script or BUILT_IN[result.name]


def names_of(kind: SetType) -> list[str]:
    """The names of the built-in scripts of a type. MAAS runs them in alphabetical order."""
    return sorted(name for name, script in BUILT_IN.items() if script["type"] == kind)


def target_of(script: Record) -> str | None:
    """The kind of hardware of which a script runs once for each: ``storage``, ``interface`` or None."""
    kinds = {each.get("type") for each in (script["parameters"] or {}).values()}
    return next((kind for kind in TARGETS if kind in kinds), None)
