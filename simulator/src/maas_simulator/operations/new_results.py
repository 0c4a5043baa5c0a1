"""The pending results of a run: one for every script, or for every disk or interface on which it runs."""

from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter
from typing import Final

from maas_simulator.model.built_in_scripts import BMC_SCRIPT, TARGETS, names_of, target_of
from maas_simulator.model.forms import Form, each, last, loose_boolean
from maas_simulator.model.interfaces import LINK_UP, interfaces
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import invalid
from maas_simulator.model.scripts import JSON, ScriptResult, ScriptSet, SetType
from maas_simulator.state import RegionState

NONE: Final = "none"
ALL: Final = "all"


def commissioning_set(region: RegionState, machine: SimulatedMachine, form: Form) -> ScriptSet:
    """Add a commissioning: the built-in scripts, and those of users that are chosen, by default all of them."""
    chosen = chosen_scripts(region, form, "commissioning_scripts", SetType.COMMISSIONING)
    custom = [script for script in chosen if not script["default"]]
    table = region.tables["Script"]
    results = _results(region, machine, [*map(table.get_named, names_of(SetType.COMMISSIONING)), *custom], form)
    for result in results:
        if result.name == BMC_SCRIPT and loose_boolean(form, "skip_bmc_config"):
            result.skip(region.now())
            region.say(machine, "DEBUG", "Script result", f"{result.name} changed status from 'Pending' to 'Skipped'")
    return region.new_set(machine, SetType.COMMISSIONING, results)


def add_set(
    region: RegionState, machine: SimulatedMachine, kind: SetType, scripts: Iterable[Record], form: Form
) -> ScriptSet:
    """Add a run of scripts."""
    return region.new_set(machine, kind, _results(region, machine, scripts, form))


def chosen_scripts(region: RegionState, form: Form, field: str, kind: SetType) -> list[Record]:
    """Return the scripts of a type that the last value of a field names, by name or tag; 400 for unknown ones.

    By default these are the tests with the tag ``commissioning``, and all other scripts of users. Of tests there is
    also ``none``, which chooses nothing.
    """
    known, is_test = region.tables["Script"].where(type=int(kind)), kind is SetType.TESTING
    if field not in form:
        return [script for script in known if ("commissioning" in script["tags"] if is_test else not script["default"])]
    asked = [part.strip() for part in last(form, field).split(",")]
    choices = {NONE} if is_test else set()
    check_choices(field, asked, choices.union(*({script["name"], *script["tags"]} for script in known)))
    return [script for script in known if {script["name"], *script["tags"]} & set(asked)]


def chosen_tests(region: RegionState, machine: SimulatedMachine, form: Form) -> list[Record]:
    """Return the tests that the form names, and check the disks and interfaces that it names for them."""
    tests = chosen_scripts(region, form, "testing_scripts", SetType.TESTING)
    for script in tests:
        _chosen_targets(region, machine, script, form)
    return tests


def check_choices(field: str, asked: Iterable[str], known: Collection[str]) -> None:
    """Raise a 400 for the first unknown choice."""
    for name in asked:
        if name not in known:
            raise invalid(field, f"Select a valid choice. {name} is not one of the available choices.")


def _results(
    region: RegionState, machine: SimulatedMachine, scripts: Iterable[Record], form: Form
) -> list[ScriptResult]:
    """Create the results in the order of the scripts. MAAS shows and runs them by name."""
    results = []
    for script in scripts:
        given = dict(_parameters(region, script, form))
        targets: list[JSON | None] = [*_chosen_targets(region, machine, script, form)] if target_of(script) else [None]
        for target in targets:
            result = region.new_result(machine, script, str(target["name"]) if target else None)
            result.parameters = {
                name: {**parameter, "value": target} if parameter.get("type") in TARGETS else parameter
                for name, parameter in given.items()
            }
            results.append(result)
    return sorted(results, key=attrgetter("name"))


def _disks(machine: SimulatedMachine) -> list[JSON]:
    return [
        {
            "id": machine.number * 10 + index,
            "name": disk.name,
            "model": disk.model,
            "serial": disk.serial,
            "id_path": disk.id_path or f"/dev/{disk.name}",
        }
        for index, disk in enumerate(machine.disks)
    ]


def _nics(region: RegionState, machine: SimulatedMachine) -> list[JSON]:
    """The interfaces that tests use: those with a link to a subnet."""
    return [
        {name: nic[name] for name in ("id", "name", "vendor", "product", "mac_address")}
        for nic in interfaces(region.tables, machine).values()
        if any(link["mode"] != LINK_UP for link in nic["links"])
    ]


def _chosen_targets(region: RegionState, machine: SimulatedMachine, script: Record, form: Form) -> list[JSON]:
    """The disks or interfaces that the parameter of a script names by any of their values; by default all."""
    kind = target_of(script)
    known = _disks(machine) if kind == "storage" else _nics(region, machine) if kind == "interface" else []
    names = [name for name, parameter in (script["parameters"] or {}).items() if parameter.get("type") == kind]
    fields = [field for name in names for field in (f"{script['name']}_{name}", name) if field in form]
    if not fields:
        return known
    asked = each(form, fields[0])
    check_choices(fields[0], asked, {ALL, *(str(value) for target in known for value in target.values())})
    return [target for target in known if ALL in asked or {str(value) for value in target.values()} & set(asked)]


def _parameters(region: RegionState, script: Record, form: Form) -> Iterator[tuple[str, Record]]:
    """The parameters of a script with their values, from the form, a setting or their default.

    MAAS 3.7 leaves out those without a value. A form names a parameter alone, or after the script's name and ``_``.
    """
    for name, parameter in (script["parameters"] or {}).items():
        given = last(form, f"{script['name']}_{name}") or last(form, name)
        kind = parameter.get("type")
        value: object = given or region.settings.get(name) or parameter.get("default")
        if kind == "boolean" and given:
            value = given.lower() != "false"
        if kind in TARGETS or value not in (None, ""):
            yield name, {**parameter, "value": value}
