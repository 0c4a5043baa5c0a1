"""The constraints of ``allocate``. Each is a test; labelled ones also return the matching disks and NICs."""

from collections.abc import Callable, Mapping

from maas_simulator.model.forms import Form, each
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import invalid, not_simulated
from maas_simulator.operations.labelled_constraints import LINK_SPEED, Labelled, interfaces, storage
from maas_simulator.state import RegionState

ARCHITECTURES = ("amd64/generic", "arm64/generic")
NOT_CONSTRAINTS = frozenset(
    {"op", "dry_run", "verbose", "comment", "agent_name", "bridge_all", "bridge_type", "bridge_stp", "bridge_fd"}
)
LABELLED: Mapping[str, Callable[[RegionState, str], Labelled]] = {"storage": storage, "interfaces": interfaces}

Test = Callable[[SimulatedMachine], bool]


class Constraints:
    """The constraints of a request. Creating them raises a ``Refusal`` for malformed or unknown values."""

    def __init__(self, region: RegionState, form: Form) -> None:
        self.given = {name: each(form, name) for name in form if name not in NOT_CONSTRAINTS}
        self._labelled = {name: LABELLED[name](region, form[name][-1]) for name in self.given if name in LABELLED}
        self._tests = [_test(region, name, values) for name, values in self.given.items() if name not in LABELLED]

    def meets(self, machine: SimulatedMachine) -> bool:
        """Whether a machine meets all constraints."""
        found = all(labelled(machine) is not None for labelled in self._labelled.values())
        return found and all(test(machine) for test in self._tests)

    def found(self, machine: SimulatedMachine) -> dict[str, object]:
        """The value of ``constraints_by_type``: the ids of the disks and NICs for each label."""
        return {name: labelled(machine) for name, labelled in self._labelled.items()}

    @property
    def text(self) -> str:
        """The constraints as MAAS's error shows them."""
        pairs = list(self.given.items())
        resolved = " ".join(f"{name}={','.join(_resolved(name, values))}" for name, values in pairs)
        return f'{pairs} (resolved to "{resolved}")'


def _test(region: RegionState, name: str, values: list[str]) -> Test:
    if name not in _CONSTRAINTS:
        raise not_simulated(f"allocating by {name}")
    return _CONSTRAINTS[name](region, values)


def _resolved(name: str, values: list[str]) -> list[str]:
    return [str(float(value)) for value in values] if name in ("cpu_count", "mem") else values


def _number(field: str, title: str) -> Callable[[RegionState, list[str]], Test]:
    def make(region: RegionState, values: list[str]) -> Test:
        del region
        try:
            least = float(values[-1])
        except (ValueError, IndexError):
            kind = "cpu_count" if field == "cpu_count" else "mem"
            raise invalid(kind, f"Invalid {title}: number required.") from None
        return lambda machine: float(getattr(machine, field)) >= least

    return make


def _architecture(region: RegionState, values: list[str]) -> Test:
    del region
    known = {*ARCHITECTURES, *(name.partition("/")[0] for name in ARCHITECTURES)}
    if not set(values) <= known:
        raise invalid("arch", "Architecture not recognised.")
    return lambda machine: machine.architecture in values or machine.architecture.partition("/")[0] in values


def _tags(region: RegionState, values: list[str]) -> Test:
    check_tags(region, "tags", values)
    return lambda machine: set(values) <= set(machine.tag_names)


def _not_tags(region: RegionState, values: list[str]) -> Test:
    check_tags(region, "not_tags", values)
    return lambda machine: not set(values) & set(machine.tag_names)


def _zone(region: RegionState, values: list[str]) -> Test:
    check_names(region, "zone", values)
    return lambda machine: machine.zone in values


def _pool(region: RegionState, values: list[str]) -> Test:
    check_names(region, "pool", values)
    return lambda machine: machine.pool in values


def _not_in_zone(region: RegionState, values: list[str]) -> Test:
    check_names(region, "not_in_zone", values)
    return lambda machine: machine.zone not in values


def _not_in_pool(region: RegionState, values: list[str]) -> Test:
    check_names(region, "not_in_pool", values)
    return lambda machine: machine.pool not in values


def _name(region: RegionState, values: list[str]) -> Test:
    del region
    return lambda machine: machine.hostname in values or f"{machine.hostname}.maas" in values


def _system_id(region: RegionState, values: list[str]) -> Test:
    del region
    return lambda machine: machine.system_id in values


def _pod(region: RegionState, values: list[str]) -> Test:
    del region
    return lambda machine: machine.pod in values


def _link_speed(region: RegionState, values: list[str]) -> Test:
    del region
    if not values[-1].isdecimal():
        raise not_simulated("MAAS's error for a link speed that is not a number")
    return lambda machine: machine.known and int(values[-1]) <= LINK_SPEED


def _fabrics(region: RegionState, values: list[str]) -> Test:
    """Match fabrics by name or id. Several are not simulated, because MAAS's handling of them was not recorded."""
    fabrics = region.tables["Fabric"].values()
    wanted = {each["id"] for each in fabrics for value in values if value in (each["name"], str(each["id"]))}
    if len(values) != 1 or not wanted:
        raise not_simulated("allocating by several fabrics, or by one that does not exist")
    boots = {
        subnet["id"]: region.tables["VLAN"][subnet["vlan"]]["fabric"] for subnet in region.tables["Subnet"].values()
    }
    return lambda machine: machine.known and wanted <= {boots[machine.subnet], *machine.fabrics}


def _subnets(region: RegionState, values: list[str]) -> Test:
    """Match subnets by id, name or ``cidr:``. A machine has addresses in one subnet."""
    wanted = [
        each["id"]
        for each in region.tables["Subnet"].values()
        for value in values
        if value in (str(each["id"]), each["name"], f"name:{each['name']}", f"cidr:{each['cidr']}")
    ]
    if len(values) != 1 or not wanted:
        raise not_simulated("allocating by several subnets, by a space, or by a subnet that does not exist")
    return lambda machine: machine.known and machine.linked and wanted == [machine.subnet]


_CONSTRAINTS: dict[str, Callable[[RegionState, list[str]], Test]] = {
    "name": _name,
    "system_id": _system_id,
    "arch": _architecture,
    "cpu_count": _number("cpu_count", "CPU count"),
    "mem": _number("memory", "memory"),
    "tags": _tags,
    "not_tags": _not_tags,
    "zone": _zone,
    "not_in_zone": _not_in_zone,
    "pool": _pool,
    "not_in_pool": _not_in_pool,
    "pod": _pod,
    "link_speed": _link_speed,
    "fabrics": _fabrics,
    "subnets": _subnets,
}


def check_tags(region: RegionState, field: str, values: list[str]) -> None:
    """Raise a 400 for an unknown tag, with quotes as in MAAS."""
    unknown = [value for value in values if region.tables["Tag"].named(value) is None]
    if unknown:
        raise invalid(field, f"No such tag(s): {', '.join(repr(value) for value in unknown)}.")


def check_names(region: RegionState, field: str, values: list[str]) -> None:
    """Raise a 400 for an unknown zone or pool, without quotes as in MAAS."""
    known = region.tables["Zone" if field.endswith("zone") else "ResourcePool"]
    unknown = [value for value in values if known.named(value) is None]
    if unknown:
        raise invalid(field, f"No such {field.removeprefix('not_in_')}(s): {', '.join(unknown)}.")
