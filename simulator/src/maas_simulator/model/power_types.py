"""The power types of MAAS 3.7 with their parameters, as MAAS describes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from maas_simulator.model.machines import MANUAL, SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.scripts import JSON

DESCRIBED: Final[list[Record]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
"""The response of ``rackcontrollers/?op=describe_power_types`` of the second recorded region."""
POWER_TYPES: Final[Mapping[str, Mapping[str, Record]]] = {
    each["name"]: {field["name"]: field for field in each["fields"]} for each in DESCRIBED
}
"""The parameters by type and name."""


def find_errors(power_type: str, given: Mapping[str, str]) -> list[str]:
    """Return MAAS's messages for the parameters of a power type."""
    known = POWER_TYPES.get(power_type, {})
    if unknown := [name for name in given if name not in known]:
        return [f"Unknown parameter(s): {', '.join(unknown)}."]
    missing = [name for name, each in known.items() if each["required"] and not each["default"] and not given.get(name)]
    if missing and not any(given.values()):
        return ["This field is required."]
    return [f"{name.capitalize().replace('_', ' ')}: This field is required." for name in missing]


def power_json(machine: SimulatedMachine) -> JSON:
    """The power parameters; fictitious ones unless a request has set them."""
    known = POWER_TYPES.get(machine.power_type, {})
    if machine.power_parameters is not None:
        return {name: machine.power_parameters.get(name) or each["default"] for name, each in known.items()}
    if machine.power_type == MANUAL:
        return {}
    address = f"10.20.0.{10 + machine.number}"
    fictitious = {"power_address": address, "power_user": "maas", "power_pass": "secret"}
    fictitious |= {f"power_{name}_uri": f"http://{address}/{name}" for name in ("on", "off", "query")}
    return {name: fictitious.get(name, each["default"]) for name, each in known.items()}
