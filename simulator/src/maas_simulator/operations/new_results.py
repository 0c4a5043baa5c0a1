"""The pending results of a run: one for every script, and one for every disk of a script that runs on disks."""

from collections.abc import Iterable, Iterator

from maas_simulator.model.built_in_scripts import BMC_SCRIPT, names_of, runs_on_disks
from maas_simulator.model.forms import Form, each, last, loose_boolean
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import invalid
from maas_simulator.model.scripts import JSON, ScriptResult, ScriptSet, SetType
from maas_simulator.state import RegionState


def commissioning_set(region: RegionState, machine: SimulatedMachine, form: Form) -> ScriptSet:
    """Add a commissioning: the built-in scripts, and those of users that are chosen, by default all of them."""
    custom = chosen_scripts(region, form, "commissioning_scripts", SetType.COMMISSIONING)
    table = region.tables["Script"]
    results = _results(region, machine, [*map(table.get_named, names_of(SetType.COMMISSIONING)), *custom], form)
    for result in results:
        if result.name == BMC_SCRIPT and loose_boolean(form, "skip_bmc_config"):
            result.skip(region.now())
    return region.new_set(machine, SetType.COMMISSIONING, results)


def testing_set(region: RegionState, machine: SimulatedMachine, scripts: Iterable[Record], form: Form) -> ScriptSet:
    """Add a run of tests."""
    return region.new_set(machine, SetType.TESTING, _results(region, machine, scripts, form))


def release_set(region: RegionState, machine: SimulatedMachine, names: Iterable[str], form: Form) -> ScriptSet:
    """Add a run of release scripts."""
    scripts = map(region.tables["Script"].get_named, names)
    return region.new_set(machine, SetType.RELEASE, _results(region, machine, scripts, form))


def chosen_scripts(region: RegionState, form: Form, field: str, kind: SetType) -> list[Record]:
    """Return the scripts of a type that the form names, by name or tag; 400 for unknown ones.

    By default these are the tests with the tag ``commissioning``, and all other scripts of users.
    """
    known = region.tables["Script"].where(type=int(kind))
    asked = each(form, field)
    for name in asked:
        if not any(name == script["name"] or name in script["tags"] for script in known):
            raise invalid(field, f"Select a valid choice. {name} is not one of the available choices.")
    if asked:
        return [script for script in known if {script["name"], *script["tags"]} & set(asked)]
    is_test = kind is SetType.TESTING
    return [script for script in known if ("commissioning" in script["tags"] if is_test else not script["default"])]


def chosen_tests(region: RegionState, form: Form) -> list[Record]:
    """Return the tests that the form names; none for ``none``."""
    wants_none = each(form, "testing_scripts") == ["none"]
    return [] if wants_none else chosen_scripts(region, form, "testing_scripts", SetType.TESTING)


def _results(
    region: RegionState, machine: SimulatedMachine, scripts: Iterable[Record], form: Form
) -> list[ScriptResult]:
    results = []
    for script in scripts:
        given = dict(_parameters(region, script, form))
        disks: list[JSON | None] = [*_disks(machine)] if runs_on_disks(script) else [None]
        for disk in disks:
            result = region.new_result(machine, script, str(disk["name"]) if disk else None)
            result.parameters = {
                name: {**parameter, "value": disk} if parameter["type"] == "storage" else parameter
                for name, parameter in given.items()
            }
            results.append(result)
    return results


def _disks(machine: SimulatedMachine) -> list[JSON]:
    return [
        {
            "id": machine.number * 10 + index,
            "name": disk.name,
            "model": disk.model,
            "serial": disk.serial,
            "id_path": f"/dev/{disk.name}",
        }
        for index, disk in enumerate(machine.disks)
    ]


def _parameters(region: RegionState, script: Record, form: Form) -> Iterator[tuple[str, Record]]:
    """The parameters of a script with their values, from the form, a setting or their default.

    MAAS 3.7 leaves out those without a value. A form names a parameter alone, or after the script's name and ``_``.
    """
    for name, parameter in (script["parameters"] or {}).items():
        given = last(form, f"{script['name']}_{name}") or last(form, name)
        kind = parameter.get("type")
        value: object = given or region.settings.get(name) or parameter.get("default")
        if kind == "boolean":
            value = loose_boolean(form, name)
        if kind == "storage" or value not in (None, ""):
            yield name, {**parameter, "value": value}
