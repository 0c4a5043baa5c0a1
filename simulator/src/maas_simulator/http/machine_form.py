"""The form of a machine: its fields when it is created and when it is changed, and MAAS's messages."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from maas_simulator.model import fields
from maas_simulator.model.fields import Cleaning, Field, Invalid, Reader, RecordForm
from maas_simulator.model.forms import Form, is_true, last
from maas_simulator.model.machines import MANUAL, SimulatedMachine
from maas_simulator.model.power_types import POWER_TYPES, find_errors
from maas_simulator.model.records import Record, Tables
from maas_simulator.model.refusals import not_simulated
from maas_simulator.state import RegionState

_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_PREFIX: Final = "power_parameters_"
TAKEN: Final = "Node with this Hostname already exists."
_LABEL: Final = (
    (r".+", "Hostname contains empty name."),
    (r".{,63}", "Label is too long: '{}'.  Maximum allowed is 63 characters."),
    (r"(?!-).*(?<!-)", "Label cannot start or end with hyphen: '{}'."),
    (r"(?ai:[a-z0-9-]+)", "Label contains disallowed characters: '{}'."),
)


def clean_machine(region: RegionState, form: Form, machine: SimulatedMachine | None = None) -> Record:
    """Return the values for a machine, or for a new one; None stands for no change.

    Raises:
        Refusal: A 400 with MAAS's messages about all bad fields.
    """
    own = (
        Field("architecture", fields.one_of("architecture", *region.images.architectures), required=True),
        Field("hostname", _hostname, default=None),
        Field("domain", _name_of("Domain", fields.domain), default=None),
        Field("description", fields.text()),
        Field("zone", _name_of("Zone", fields.reference("Zone", by="name")), default=None),
        Field("pool", _name_of("ResourcePool", fields.reference("ResourcePool", by="name")), default=None),
        Field("swap_size", _swap_size, default=None),
        Field("min_hwe_kernel", _kernel),
        Field("cpu_count", fields.whole(), default=None),
        Field("memory", fields.whole(), default=None),
        Field("is_dpu", fields.boolean, default=False),
        Field("power_type", fields.choice(*POWER_TYPES)),
    )
    old = None if machine is None else {each.name: getattr(machine, each.name) for each in own}

    def check(cleaning: Cleaning) -> None:
        if machine is None:
            given = tuple(value for value in form.get("mac_addresses", ()) if value.strip())
            cleaning.values["mac_addresses"] = given
            if errors := list(find_address_errors(region, given)):
                cleaning.add_error("mac_addresses", *errors)
        _check_power(cleaning)
        hostname = cleaning.values["hostname"]
        if hostname and any(other is not machine for other in region.machines.called([hostname])):
            cleaning.add_error("hostname", TAKEN)

    addresses = () if machine else (Field("mac_addresses", fields.text(), required=True),)
    complete = RecordForm("Node", *own, *addresses, check=check)
    values = complete.clean(region.tables, _with_subarchitecture(form), None, old)
    return {name: value for name, value in values.items() if value is not None or name == "swap_size"}


def _with_subarchitecture(form: Form) -> Form:
    """MAAS adds ``generic``, or the ``subarchitecture``, when a machine is created with only an architecture."""
    given = last(form, "architecture")
    if "mac_addresses" not in form or not given or "/" in given:
        return form
    return {**form, "architecture": [f"{given}/{last(form, 'subarchitecture') or 'generic'}"]}


def _name_of(kind: str, read: Reader) -> Reader:
    """Read the name of another object."""
    return lambda tables, value: tables[kind][read(tables, value)]["name"]


def _hostname(_tables: Tables, value: str) -> str:
    """Read a hostname. MAAS checks the characters of its first label before everything else."""
    labels = value.split(".")
    for label, pattern, wrong in (
        (labels[0], r"[^_]*", "Host label cannot contain underscore: '{}'."),
        *((label, *each) for label in labels for each in _LABEL),
    ):
        if not re.fullmatch(pattern, label, re.DOTALL):
            raise Invalid(wrong.format(label))
    if "." in value:
        raise not_simulated("setting a hostname with a domain")
    return value


def _swap_size(_tables: Tables, value: str) -> int:
    match = re.fullmatch(r"(\d+)([KMGT]?)", value)
    if match is None:
        raise Invalid(f"Invalid size for swap: {value}")
    return int(match[1]) * _UNITS[match[2]]


def _kernel(_tables: Tables, value: str) -> str:
    """Read a kernel. There is one for every release that is older than the newest image's."""
    match = re.fullmatch(r"(?:ga|hwe)-(\d\d\.\d\d)(?:-(?:edge|lowlatency))*", value)
    if match is None or match[1] > "24.04":
        raise Invalid(f'No kernel matches ">={value}" requirement.')
    return value


def find_address_errors(region: RegionState, given: Iterable[str]) -> Iterator[str]:
    """Yield MAAS's messages about the MAC addresses of a new node."""
    for value in given:
        try:
            address = fields.mac_address(region.tables, value)
        except Invalid as wrong:
            yield from wrong.args
            continue
        if (owner := region.owner_of_mac(address)) is not None:
            yield f"MAC address {address} already in use on {owner}."


def _check_power(cleaning: Cleaning) -> None:
    """Check the power parameters. MAAS knows those of the given power type only, not those of the machine's own."""
    given, values = cleaning.given, cleaning.values
    power_type = last(given, "power_type")
    parameters = {name.removeprefix(_PREFIX): last(given, name) for name in given if name.startswith(_PREFIX)}
    skips = is_true(parameters.pop("skip_check", ""))
    if "power_type" not in cleaning.errors and (errors := find_errors(power_type, parameters)) and not skips:
        cleaning.add_error("power_parameters", *errors)
    if power_type == MANUAL and "mac_addresses" in cleaning.errors:
        cleaning.add_error("power_type", "Can't set power type to manual without network interfaces")
    values["power_parameters"] = parameters if power_type else None
