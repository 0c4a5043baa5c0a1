"""The constraints on machines by name, for ``allocate`` and for lists, with MAAS's messages for bad values.

Most have a negation, such as ``not_tags``. A machine meets it if it matches none of the values.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from maas_simulator.model.fields import Invalid, mac_address
from maas_simulator.model.forms import Form
from maas_simulator.model.interfaces import mac_addresses
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import Refusal, not_simulated, refused_form
from maas_simulator.model.specifiers import matching
from maas_simulator.model.statuses import Status
from maas_simulator.operations.labelled_constraints import LABELLED, Labelled, nics
from maas_simulator.state import RegionState

Test = Callable[[SimulatedMachine], bool]
Match = Callable[[RegionState, Sequence[str]], Iterable[Test]]
"""Returns a test for each value. Raises ``Invalid`` with MAAS's message for a bad value."""

NOT_SIMULATED: Final = frozenset({"simple_status", "not_simple_status", "cpu_speed"})


@dataclass(frozen=True)
class Constraint:
    """A constraint. A machine meets it if it matches one of the values, or ``every`` one, or none if it ``negates``."""

    match: Match
    negation: str = ""
    every: bool = False
    allocates: bool = True
    lists: bool = True
    negates: bool = False

    def test(self, region: RegionState, values: Sequence[str]) -> Test:
        """Return the test for these values."""
        tests = list(self.match(region, values))
        if self.negates:
            return lambda machine: not any(test(machine) for test in tests)
        combine = all if self.every else any
        return lambda machine: combine(test(machine) for test in tests)


def _attribute(name: str) -> Match:
    return lambda _region, values: [lambda machine: getattr(machine, name) in values]


def _named(field: str, kind: str) -> Match:
    """Match the name of a zone or pool. Unknown names are listed without quotes, as in MAAS."""

    def match(region: RegionState, values: Sequence[str]) -> Iterable[Test]:
        if unknown := [value for value in values if region.tables[kind].named(value) is None]:
            raise Invalid(f"No such {field}(s): {', '.join(unknown)}.")
        return _attribute(field)(region, values)

    return match


def _tags(region: RegionState, values: Sequence[str]) -> Iterable[Test]:
    names = split_tags(values)
    if unknown := [name for name in names if region.tables["Tag"].named(name) is None]:
        raise Invalid(f"No such tag(s): {', '.join(map(repr, unknown))}.")
    return (lambda machine, name=name: name in machine.tag_names for name in names)  # type: ignore[misc] # mypy cannot infer a lambda's defaults


def _not_tags(_region: RegionState, values: Sequence[str]) -> Iterable[Test]:
    """MAAS ignores unknown tags here."""
    return [lambda machine: not set(split_tags(values)) & set(machine.tag_names)]


def split_tags(values: Sequence[str]) -> list[str]:
    """Split lists of tags that are separated by commas or spaces."""
    return re.findall(r"[^,\s]+", " ".join(values))


def _statuses(_region: RegionState, values: Sequence[str]) -> Iterable[Test]:
    known = {status.name.lower() for status in Status}
    for value in values:
        if value not in known:
            raise Invalid(f"Select a valid choice. {value} is not one of the available choices.")
    return [lambda machine: machine.status.name.lower() in values]


def _architectures(region: RegionState, values: Sequence[str]) -> Iterable[Test]:
    wanted = full_architectures(region, values)
    return [lambda machine: machine.architecture in wanted]


def full_architectures(region: RegionState, values: Sequence[str]) -> list[str]:
    """Return the architectures with subarchitectures, such as ``amd64/generic`` for ``amd64``."""
    known = region.images.architectures
    found = {value: [name for name in known if value in (name, name.partition("/")[0])] for value in values}
    if not all(found.values()):
        raise Invalid("Architecture not recognised.")
    return [name for names in found.values() for name in names]


def _addresses(region: RegionState, values: Sequence[str]) -> Iterable[Test]:
    for value in values:
        mac_address(region.tables, value)
    return [lambda machine: not set(values).isdisjoint(mac_addresses(region.tables, machine))]


def _at_least(read: Callable[[SimulatedMachine], float], title: str, unit: str = "number") -> Match:
    """Match a number from the last value. MAAS ignores an empty one."""

    def match(_region: RegionState, values: Sequence[str]) -> Iterable[Test]:
        try:
            least = float(values[-1] or 0)
        except ValueError:
            raise Invalid(f"Invalid {title}: {unit} required.") from None
        return [lambda machine: machine.known and read(machine) >= least]

    return match


def _interfaces(field: str) -> Match:
    """Match a machine with an interface that has one of the values."""

    def match(region: RegionState, values: Sequence[str]) -> Iterable[Test]:
        wanted = set(values)
        return [lambda machine: any(wanted & nic[field] for _, nic in nics(region.tables, machine))]

    return match


def _networks(kind: str, plural: str, key: str) -> Match:
    """Match the networks that specifiers such as ``name:pxe`` or ``space:mgmt`` name, each with a test.

    ``key`` is the property of an interface with the id.
    """

    def match(region: RegionState, values: Sequence[str]) -> list[Test]:
        ids = ({str(record["id"]) for record in matching(region.tables, kind, value)} for value in values)
        if not (found := [numbers for numbers in ids if numbers]):
            raise Invalid(f"No matching {plural} found.")
        return [
            lambda machine, numbers=numbers: any(numbers & nic[key] for _, nic in nics(region.tables, machine))  # type: ignore[misc] # mypy cannot infer a lambda's defaults
            for numbers in found
        ]

    return match


_BASE: Final[Mapping[str, Constraint]] = {
    "name": Constraint(
        lambda _region, values: [lambda machine: machine.hostname in values or machine.fqdn in values], lists=False
    ),
    "id": Constraint(_attribute("system_id"), "not_id", allocates=False),
    "system_id": Constraint(_attribute("system_id"), "not_system_id"),
    **{
        name: Constraint(_attribute(name), f"not_{name}", allocates=False)
        for name in ("hostname", "owner", "power_state", "agent_name", "domain")
    },
    "status": Constraint(_statuses, "not_status", allocates=False),
    "mac_address": Constraint(_addresses, "not_mac_address", allocates=False),
    "deployment_target": Constraint(
        lambda _region, values: [lambda machine: ("memory" if machine.ephemeral_deploy else "disk") in values],
        "not_deployment_target",
        allocates=False,
    ),
    "parent": Constraint(lambda _region, _values: (), "not_parent", allocates=False),
    "arch": Constraint(_architectures, "not_arch"),
    "tags": Constraint(_tags, every=True),
    "not_tags": Constraint(_not_tags),
    "zone": Constraint(_named("zone", "Zone"), "not_in_zone"),
    "pool": Constraint(_named("pool", "ResourcePool"), "not_in_pool"),
    "pod": Constraint(_attribute("pod"), "not_pod"),
    "pod_type": Constraint(
        lambda _region, values: [lambda machine: machine.pod is not None and machine.power_type in values],
        "not_pod_type",
    ),
    "cpu_count": Constraint(_at_least(lambda machine: machine.cpu_count, "CPU count")),
    "mem": Constraint(_at_least(lambda machine: machine.memory, "memory", "number of MiB")),
    "link_speed": Constraint(_at_least(lambda machine: machine.hardware.link_speed, "link speed")),
    "fabrics": Constraint(_interfaces("fabric"), "not_fabrics"),
    "fabric_classes": Constraint(_interfaces("fabric_class"), "not_fabric_classes"),
    "subnets": Constraint(_networks("Subnet", "subnets", "subnet_id"), "not_subnets", every=True),
    "vlans": Constraint(_networks("VLAN", "VLANs", "vlan"), "not_vlans", every=True),
}
CONSTRAINTS: Final[Mapping[str, Constraint]] = {
    **_BASE,
    **{each.negation: replace(each, negates=True) for each in _BASE.values() if each.negation},
}
NOT_CONSTRAINTS: Final = frozenset(
    {"op", "dry_run", "verbose", "comment", "agent_name", "bridge_all", "bridge_type", "bridge_stp", "bridge_fd"}
)
"""The other parameters of ``allocate``."""
NOT_FILTERS: Final = frozenset({"op", "format"})
"""The other parameters of lists."""


class Constraints:
    """The constraints of a request. Creating them raises a ``Refusal`` with MAAS's messages for all bad ones."""

    def __init__(self, region: RegionState, form: Form, *, allocating: bool = True) -> None:
        ignored = NOT_CONSTRAINTS if allocating else NOT_FILTERS
        self.form = form
        self.given = {name: list(values) for name, values in form.items() if name not in ignored}
        self._region = region
        self._tests: list[Test] = []
        self.labelled: dict[str, Labelled] = {}
        errors: dict[str, Sequence[str]] = {}
        for name, values in self.given.items():
            try:
                self._add(name, values, allocating=allocating)
            except Invalid as wrong:
                errors[name] = wrong.args
        if errors:
            raise refused_form(errors)

    def _add(self, name: str, values: Sequence[str], *, allocating: bool) -> None:
        if name in NOT_SIMULATED:
            raise not_simulated(f"choosing machines by {name}")
        if any("\0" in value for value in values):
            raise Refusal(500, "A string literal cannot contain NUL (0x00) characters.")
        if name in LABELLED:
            self.labelled[name] = LABELLED[name](self._region, values[-1])
            return
        constraint = CONSTRAINTS.get(name)
        if constraint is None or not (constraint.allocates if allocating else constraint.lists):
            raise Invalid("No such constraint.")
        self._tests.append(constraint.test(self._region, values))

    def meets(self, machine: SimulatedMachine) -> bool:
        """Whether a machine meets all constraints."""
        labelled = self.labelled.values()
        return all(test(machine) for test in self._tests) and all(find(machine) is not None for find in labelled)

    def found(self, machine: SimulatedMachine) -> dict[str, object]:
        """The value of ``constraints_by_type``: the ids of the disks and NICs for each label."""
        found = {name: labelled(machine) for name, labelled in self.labelled.items()}
        return {name: labels for name, labels in found.items() if labels}

    def verbose(self) -> dict[str, object]:
        """The ids for each label on all machines, whatever their status, as ``verbose`` shows them."""
        machines = self._region.machines.values()
        # MAAS numbers all nodes together, and the rack controllers were there first.
        found = {
            name: {machine.number + len(self._region.racks): labelled(machine) or {} for machine in machines}
            for name, labelled in self.labelled.items()
        }
        disks, nics = found.get("storage", {}), found.get("interfaces", {})
        labels = {label for each in nics.values() for label in each}
        return {
            "verbose_storage": {
                number: {disk: label for label, (disk,) in each.items()} for number, each in disks.items() if each
            },
            "verbose_interfaces": {
                label: {number: each[label] for number, each in nics.items() if each} for label in labels
            },
        }

    @property
    def text(self) -> str:
        """The request and its constraints as MAAS's error shows them."""
        return f'{[(name, list(values)) for name, values in self.form.items()]} (resolved to "{self.resolved}")'

    @property
    def resolved(self) -> str:
        """The constraints with the values as MAAS understood them."""
        return " ".join(
            f"{name}={','.join(self._cleaned(name))}"
            for name in sorted(self.given)
            if name == "name" or any(self.given[name])
        )

    def _cleaned(self, name: str) -> list[str]:
        values = self.given[name]
        if name in ("cpu_count", "mem", "link_speed"):
            return [str(float(values[-1]))]
        if name in ("arch", "not_arch"):
            return full_architectures(self._region, values)
        if name == "name" and not all(values):
            raise Refusal(500, "sequence item 0: expected str instance, NoneType found")
        return split_tags(values) if name in ("tags", "not_tags") else values
