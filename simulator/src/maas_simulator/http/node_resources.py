"""Devices, and the controllers of the region and its racks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final

from maas_simulator.http.calls import Answer, Call, Endpoint, Handlers, keyed, route
from maas_simulator.http.machine_edits import set_zone
from maas_simulator.http.machine_form import TAKEN, find_address_errors
from maas_simulator.http.machine_routes import find_machines
from maas_simulator.http.node_views import controller_json, device_json, region_controller_json
from maas_simulator.http.render import machine_json
from maas_simulator.http.resources import Resource, check_admin, check_anybody, check_superuser
from maas_simulator.model.auth import NOBODY
from maas_simulator.model.fields import NO_CHOICE, Field, RecordForm, domain, hostname, mac_address, reference, text
from maas_simulator.model.forms import last, mandatory
from maas_simulator.model.interfaces import mac_addresses
from maas_simulator.model.machines import Rack
from maas_simulator.model.power_types import DESCRIBED
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import Refusal, forbidden, invalid, not_found, not_simulated, refused_form
from maas_simulator.model.scripts import JSON
from maas_simulator.model.statuses import Status
from maas_simulator.state import RegionState

_FACTS: Final[Mapping[str, Callable[[Record], list[Any]]]] = {
    "id": lambda node: [node["system_id"]],
    "mac_address": lambda node: [nic["mac_address"] for nic in node["interface_set"]],
    **{name: partial(lambda name, node: [node.get(name)], name) for name in ("hostname", "owner", "parent")},
    **{name: partial(lambda name, node: [node[name]["name"]], name) for name in ("zone", "domain")},
}
"""The filters of the lists of nodes, with the values that a node matches."""


def _select(call: Call, nodes: Iterable[JSON], *known: str) -> list[JSON]:
    """The nodes that match the filters of the query, which must be known."""
    asked = {name: values for name, values in call.query.items() if name not in ("op", "format")}
    if unknown := {name: ["No such constraint."] for name in asked if name not in known}:
        raise refused_form(unknown)
    return [node for node in nodes if all(set(values) & set(_FACTS[name](node)) for name, values in asked.items())]


def _shown_devices(call: Call) -> list[JSON]:
    return [device_json(call.region, device) for device in DEVICES.table(call).values()]


def list_devices(call: Call) -> Answer:
    """The devices that match the filters."""
    return Answer(_select(call, _shown_devices(call), *_FACTS))


def is_registered(call: Call) -> Answer:
    """Whether a node has this MAC address. Without credentials, *New* machines do not count: they may enlist again."""
    mac = mandatory(call.query, "mac_address").lower()
    fresh = (each for each in call.region.machines.values() if call.user is NOBODY and each.status is Status.NEW)
    again = any(mac in mac_addresses(call.region.tables, machine) for machine in fresh)
    return Answer(not again and call.region.owner_of_mac(mac) is not None)


def list_nodes(call: Call) -> Answer:
    """All nodes that the user may see and that match the filters: machines, devices and controllers."""
    found: list[JSON] = [machine_json(call.region, machine) for machine in find_machines(call)]
    if call.query.keys() <= {"op", "format", *_FACTS}:
        found += _select(call, (*_shown_devices(call), *_RACKS.shown(call)), *_FACTS)
    return Answer(found)


def _check_owner(call: Call, device: Record) -> None:
    if not call.user.is_superuser and device["owner"] != call.user.username:
        raise forbidden()


def _check_device(call: Call, values: Record, old: Record | None) -> None:
    """Check what needs the whole region, and add what the form of a new device does not have."""
    region, addresses = call.region, list(dict.fromkeys(call.form.get("mac_addresses", ())))
    wrong = [] if old else list(find_address_errors(region, addresses))
    errors = {"mac_addresses": wrong} if wrong else {}
    devices = (each for each in region.tables["Device"].values() if each is not old)
    names = {each["hostname"] for each in devices} | {rack.hostname for rack in region.racks.values()}
    if values["hostname"] and (values["hostname"] in names or region.machines.called([values["hostname"]])):
        errors["hostname"] = [TAKEN]
    if errors:
        raise refused_form(errors)
    if old is not None:
        values["mac_addresses"] = old["mac_addresses"]
        return
    number = region.tables.take_id("Device")
    system_id = sha256(f"device {number}".encode()).hexdigest()[:6]  # six letters and digits, as in MAAS
    values |= {
        "id": number,
        "mac_addresses": [mac_address(region.tables, address) for address in addresses],
        "owner": call.user.username,
        "system_id": system_id,
        "hostname": values["hostname"] or f"device-{system_id}",
        "tag_names": (),
        "annotations": {},
    }


def _annotate(call: Call, device: Record) -> None:
    """Set the annotations of a device; an empty value removes one."""
    given = {**device["annotations"], **{name: last(call.form, name) for name in call.form}}
    device["annotations"] = {name: value for name, value in given.items() if value}


def no_power(call: Call) -> Answer:
    """The power parameters of a controller: it has none."""
    check_admin(call)
    return Answer({})


def device_power(call: Call) -> Answer:
    """The power parameters of a device: it has none."""
    answer = no_power(call)
    DEVICES.get(call)
    return answer


DEVICES: Final = Resource(
    "Device",
    "devices/",
    "devices/{system_id}/",
    device_json,
    form=RecordForm(
        "Node",
        Field("hostname", hostname),
        Field("description", text()),
        Field("domain", domain, default=0),
        Field("zone", reference("Zone", by="name"), default=1),
        Field("parent", text(), default=None),
        Field("mac_addresses", text(), required=True, default=""),
    ),
    find=lambda _call, table, name: table.named(name, "system_id"),
    may_create=check_anybody,
    may_change=_check_owner,
    before_store=_check_device,
    changes=dict.fromkeys(("set_workload_annotations", "set_owner_data"), _annotate),
    more_many=keyed(GET=list_devices, GET_is_registered=is_registered, POST_set_zone=set_zone),
    more_one=keyed(GET_power_parameters=device_power),
)


@dataclass(frozen=True)
class _Controllers:
    """The controllers of the region, or of its racks. Only superusers see them."""

    kind: str
    view: Callable[[RegionState, Rack], JSON]

    def endpoints(self, many: Handlers, one: Handlers) -> Iterator[Endpoint]:
        """The endpoints of the list and of one controller, with more operations."""
        path = f"{self.kind.lower()}s/"
        yield route(f"{self.kind}s", path, many, GET=self.list, GET_is_registered=is_registered, POST_set_zone=set_zone)
        yield route(self.kind, f"{path}{{system_id}}/", one, GET=self.read, PUT=self.update)

    def has(self, rack: Rack) -> bool:
        """Whether a controller is of this kind."""
        return rack.is_region or self.kind == "RackController"

    def shown(self, call: Call) -> list[JSON]:
        """The controllers that the user may see."""
        racks = call.region.racks.values() if call.user.is_superuser else ()
        return [self.view(call.region, rack) for rack in racks if self.has(rack)]

    def find(self, call: Call) -> Rack:
        """The controller in the path."""
        found = call.region.racks.get(call.parts[0])
        if found is None or not self.has(found):
            raise not_found(self.kind)
        check_superuser(call)
        return found

    def list(self, call: Call) -> Answer:
        """The controllers that the query selects."""
        return Answer(_select(call, self.shown(call), "id", "hostname", "zone"))

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


_RACKS: Final = _Controllers("RackController", controller_json)


def _power_of_racks(call: Call) -> Answer:
    """The power parameters of the controllers: they have none."""
    check_admin(call)
    asked = call.query.get("id")
    return Answer({name: {} for name in call.region.racks if asked is None or name in asked})


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
        keyed(GET_describe_power_types=lambda _call: Answer(DESCRIBED), GET_power_parameters=_power_of_racks),
        keyed(DELETE=_delete_rack, GET_power_parameters=no_power),
    ),
    *_Controllers("RegionController", region_controller_json).endpoints({}, {}),
)
