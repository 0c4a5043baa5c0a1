"""Devices, and the controllers of the region and its racks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from maas_simulator.http.calls import Answer, Call, Endpoint
from maas_simulator.http.machine_edits import set_zone
from maas_simulator.http.machine_routes import find_machines
from maas_simulator.http.node_views import controller_json, device_json, region_controller_json
from maas_simulator.http.render import machine_json
from maas_simulator.http.resources import Handlers, Resource, check_admin, check_anybody, check_superuser, no_change
from maas_simulator.model.auth import NOBODY
from maas_simulator.model.fields import (
    NO_CHOICE,
    Cleaning,
    Field,
    Invalid,
    RecordForm,
    domain,
    hostname,
    mac_address,
    reference,
    text,
)
from maas_simulator.model.forms import last, mandatory
from maas_simulator.model.interfaces import mac_addresses
from maas_simulator.model.machines import Rack
from maas_simulator.model.power_types import DESCRIBED
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import Refusal, forbidden, invalid, not_found, not_simulated, refused_form
from maas_simulator.model.scripts import JSON
from maas_simulator.model.statuses import Status
from maas_simulator.state import RegionState

NO_CONSTRAINT: Final = "No such constraint."
_FILTERS: Final[dict[str, Callable[[RegionState, Record], list[Any]]]] = {
    "id": lambda _region, device: [device["system_id"]],
    "hostname": lambda _region, device: [device["hostname"]],
    "mac_address": lambda _region, device: device["mac_addresses"],
    "owner": lambda _region, device: [device["owner"]],
    "parent": lambda _region, device: [device["parent"]],
    "zone": lambda region, device: [region.tables["Zone"][device["zone"]]["name"]],
    "domain": lambda region, device: [region.tables["Domain"][device["domain"]]["name"]],
}
"""The filters of the list of devices, with the values that a device matches."""


def devices(call: Call) -> Answer:
    """The devices that match the filters."""
    asked = {name: values for name, values in call.query.items() if name not in ("op", "format")}
    if unknown := {name: [NO_CONSTRAINT] for name in asked if name not in _FILTERS}:
        raise refused_form(unknown)
    found = [
        device
        for device in DEVICES.table(call).values()
        if all(set(values) & set(_FILTERS[name](call.region, device)) for name, values in asked.items())
    ]
    return Answer([device_json(call.region, device) for device in found])


def is_registered(call: Call) -> Answer:
    """Whether a node has this MAC address. Without credentials, *New* machines do not count: they may enlist again."""
    mac = mandatory(call.query, "mac_address").lower()
    fresh = (each for each in call.region.machines.values() if call.user is NOBODY and each.status is Status.NEW)
    again = any(mac in mac_addresses(call.region.tables, machine) for machine in fresh)
    return Answer(not again and call.region.owner_of_mac(mac) is not None)


def list_nodes(call: Call) -> Answer:
    """All nodes that the user may see and that match the filters: machines, devices and controllers."""
    found = [machine_json(call.region, machine) for machine in find_machines(call)]
    others = [device_json(call.region, each) for each in DEVICES.table(call).values()]
    others += [controller_json(call.region, rack) for rack in call.region.racks.values() if call.user.is_superuser]
    asked = {name: values for name, values in call.query.items() if name not in ("op", "format")}
    for node in others:
        facts = {"id": node["system_id"], "hostname": node["hostname"], "domain": "maas", "zone": "default"}
        if all(name in facts and facts[name] in values for name, values in asked.items()):
            found.append(node)
    return Answer(found)


def _find_device(_call: Call, table: Table, name: str) -> Record | None:
    return table.named(name, "system_id")


def _check_owner(call: Call, device: Record) -> None:
    if not call.user.is_superuser and device["owner"] != call.user.username:
        raise forbidden()


def _complete_device(call: Call, device: Record) -> None:
    """Add what the form does not have, and check what needs the whole region."""
    errors: dict[str, list[str]] = {}
    addresses = list(dict.fromkeys(call.form["mac_addresses"]))
    del DEVICES.table(call)[device["id"]]
    for address in addresses:
        try:
            other = call.region.owner_of_mac(mac_address(call.region.tables, address))
        except Invalid as wrong:
            errors.setdefault("mac_addresses", []).extend(wrong.args)
            continue
        if other is not None:
            errors.setdefault("mac_addresses", []).append(f"MAC address {address} already in use on {other}.")
    if _is_taken(call.region, device):
        errors["hostname"] = [TAKEN]
    if errors:
        raise refused_form(errors)
    DEVICES.table(call)[device["id"]] = device
    device |= {
        "mac_addresses": [mac_address(call.region.tables, address) for address in addresses],
        "owner": call.user.username,
        # six letters and digits, as in MAAS
        "system_id": sha256(f"device {device['id']}".encode()).hexdigest()[:6],
        "tag_names": (),
        "annotations": {},
    }
    device["hostname"] = device["hostname"] or f"device-{device['system_id']}"


def _check_device_name(call: Call, device: Record, before: Record) -> None:
    if _is_taken(call.region, device):
        device.update(before)
        raise invalid("hostname", TAKEN)


TAKEN: Final = "Node with this Hostname already exists."


def _is_taken(region: RegionState, device: Record) -> bool:
    others = (each for each in region.tables["Device"].values() if each is not device)
    return bool(device["hostname"]) and device["hostname"] in {
        *(machine.hostname for machine in region.machines.values()),
        *(each["hostname"] for each in others),
        *(rack.hostname for rack in region.racks.values()),
    }


def _check_parent(cleaning: Cleaning) -> None:
    values = cleaning.values
    if cleaning.old is not None:
        values.pop("mac_addresses")


def annotate(call: Call) -> Answer:
    """Set the annotations of a device; an empty value removes one."""
    device = DEVICES.get_to_change(call)
    given = {**device["annotations"], **{name: last(call.form, name) for name in call.form}}
    device["annotations"] = {name: value for name, value in given.items() if value}
    return Answer(device_json(call.region, device))


def device_power(call: Call) -> Answer:
    """The power parameters of a device: it has none."""
    check_admin(call)
    DEVICES.get(call)
    return Answer({})


DEVICES: Final = Resource(
    "Device",
    "devices/",
    "devices/{system_id}/",
    device_json,
    form=RecordForm(
        "Node",
        (
            Field("hostname", hostname),
            Field("description", text()),
            Field("domain", domain, default=0),
            Field("zone", reference("Zone", by="name"), default=1),
            Field("parent", text(), default=None),
            Field("mac_addresses", text(), required=True, default=""),
        ),
        _check_parent,
    ),
    find=_find_device,
    may_create=check_anybody,
    may_change=_check_owner,
    after_create=_complete_device,
    after_update=_check_device_name,
    before_delete=no_change,
    more_many={("GET", None): devices, ("GET", "is_registered"): is_registered, ("POST", "set_zone"): set_zone},
    more_one={
        ("POST", "set_workload_annotations"): annotate,
        ("POST", "set_owner_data"): annotate,
        ("GET", "power_parameters"): device_power,
    },
)


def power_types(call: Call) -> Answer:
    """The power types with their parameters."""
    del call
    return Answer(DESCRIBED)


@dataclass(frozen=True)
class _Controllers:
    """The controllers of the region, or of its racks. Only superusers see them."""

    kind: str
    view: Callable[[RegionState, Rack], JSON]

    def endpoints(self, many: Handlers, one: Handlers) -> Iterator[Endpoint]:
        """The endpoints of the list and of one controller, with more operations."""
        path = f"{self.kind.lower()}s/"
        lists = {
            ("GET", None): self.list,
            ("GET", "is_registered"): is_registered,
            ("POST", "set_zone"): set_zone,
            **many,
        }
        yield Endpoint(f"{self.kind}s", path, lists)
        yield Endpoint(
            self.kind, f"{path}{{system_id}}/", {("GET", None): self.read, ("PUT", None): self.update, **one}
        )

    def find(self, call: Call) -> Rack:
        """The controller in the path."""
        found = call.region.racks.get(call.parts[0])
        if found is None or not (found.is_region or self.kind == "RackController"):
            raise not_found(self.kind)
        check_superuser(call)
        return found

    def list(self, call: Call) -> Answer:
        """The controllers that the query selects."""
        asked = {name: values for name, values in call.query.items() if name not in ("op", "format")}
        if unknown := asked.keys() - _RACK_FILTERS.keys():
            raise refused_form({name: [NO_CONSTRAINT] for name in unknown})
        found = [
            rack
            for rack in call.region.racks.values()
            if call.user.is_superuser
            and (rack.is_region or self.kind == "RackController")
            and all(getattr(rack, _RACK_FILTERS[name]) in values for name, values in asked.items())
        ]
        return Answer([self.view(call.region, rack) for rack in found])

    def read(self, call: Call) -> Answer:
        """One controller."""
        return Answer(self.view(call.region, self.find(call)))

    def update(self, call: Call) -> Answer:
        """Change the description and the zone of a controller."""
        rack = self.find(call)
        zone = last(call.form, "zone") or rack.zone
        if call.region.tables["Zone"].named(zone) is None:
            raise invalid("zone", NO_CHOICE)
        rack.zone, rack.description = zone, last(call.form, "description") or rack.description
        return self.read(call)


_RACK_FILTERS: Final = {"id": "system_id", "hostname": "hostname", "zone": "zone"}
_RACKS: Final = _Controllers("RackController", controller_json)


def _power_of_racks(call: Call) -> Answer:
    """The power parameters of the controllers: they have none."""
    check_admin(call)
    asked = call.query.get("id")
    return Answer({name: {} for name in call.region.racks if asked is None or name in asked})


def _rack_power(call: Call) -> Answer:
    """The power parameters of a controller: it has none."""
    check_admin(call)
    return Answer({})


def _delete_rack(call: Call) -> Answer:
    """Delete a controller. Only the checks are simulated."""
    rack, tables = _RACKS.find(call), call.region.tables
    vlans = [vlan for vlan in tables["VLAN"].where(primary_rack=rack.system_id) if vlan["dhcp_on"]]
    if not vlans:
        raise not_simulated("deleting a controller")
    names = ", ".join(f"{tables['Fabric'][vlan['fabric']]['name']}.{vlan['vid'] or 'untagged'}" for vlan in vlans)
    raise Refusal(
        400,
        f"Unable to delete '{rack.hostname}'; it is currently set as a primary rack controller on VLANs {names} "
        "and no other rack controller can provide DHCP.",
    )


CONTROLLERS: Final = (
    *_RACKS.endpoints(
        {("GET", "describe_power_types"): power_types, ("GET", "power_parameters"): _power_of_racks},
        {("DELETE", None): _delete_rack, ("GET", "power_parameters"): _rack_power},
    ),
    *_Controllers("RegionController", region_controller_json).endpoints({}, {}),
)
