"""The network interfaces of machines in the API, and their links to subnets."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Final

from maas_simulator.http.calls import Answer, Call, Handler, keyed, route
from maas_simulator.http.interface_forms import InterfaceForm, occupy_parents
from maas_simulator.http.interface_views import children, interface_json, interfaces_json
from maas_simulator.http.render import machine_json
from maas_simulator.http.resources import DELETED, add_tag, remove_tag
from maas_simulator.model import fields
from maas_simulator.model.fields import REQUIRED, WHOLE_FORM, Cleaning, Field, Invalid, RecordForm
from maas_simulator.model.forms import loose_boolean
from maas_simulator.model.interfaces import (
    AUTO,
    BOND,
    BRIDGE,
    DHCP,
    LINK_UP,
    PHYSICAL,
    STATIC,
    VLAN,
    choose_gateway,
    gateways_of,
    interfaces,
    new_interface,
    new_link,
)
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record, Table, Tables
from maas_simulator.model.refusals import conflict, not_found
from maas_simulator.model.specifiers import matching
from maas_simulator.model.statuses import Status
from maas_simulator.operations.addresses import check_unused, next_free, range_of
from maas_simulator.state import RegionState

CHANGEABLE: Final = frozenset({Status.NEW, Status.READY, Status.ALLOCATED, Status.FAILED_TESTING, Status.BROKEN})
"""The statuses in which MAAS allows changes of the network. Its message leaves one out."""


@dataclass(frozen=True)
class Target:
    """What a path names: the interfaces of a machine, and one of them unless it is about all."""

    call: Call
    machine: SimulatedMachine
    nics: Table
    nic: Record

    @property
    def region(self) -> RegionState:
        """The region of the machine."""
        return self.call.region

    def link(self, mode: str, subnet: int | None = None, ip: str | None = None) -> Record:
        """Build a link."""
        return new_link(self.region.tables.take_id("StaticIPAddress"), mode, subnet, ip, self.region.now())


Change = Callable[[Target], Record | None]
"""Changes the interfaces of a machine, or raises a ``Refusal``. Returns the interface to show, if it is a new one."""


def _find(call: Call, kind: str = "Interface") -> Target:
    """Find what the path names: an interface by its id or name."""
    machine = call.machine(kind)
    nics = interfaces(call.region.tables, machine)
    if len(call.parts) == 1:
        return Target(call, machine, nics, {})
    name = call.parts[1].removeprefix("name:").removeprefix("id:")
    for nic in nics.values():
        if name in (str(nic["id"]), nic["name"]):
            return Target(call, machine, nics, nic)
    raise not_found("Interface")


def _operation(
    words: str, change: Change, kind: str = "Interface", statuses: Collection[Status] = CHANGEABLE
) -> Handler:
    """Change an interface, for superusers, and show it unless it is gone. MAAS's 409 has the ``words``."""

    def act(call: Call) -> Answer:
        at = _find(call, kind)
        call.check_permission("admin", at.machine)
        if at.machine.status not in statuses:
            raise conflict(f"Cannot {words} interface because the machine is not New, Ready, Allocated, or Broken.")
        nic = change(at) or at.nic
        call.region.tables.interfaces[at.machine.system_id] = at.nics
        return Answer(interface_json(call.region, at.machine, nic)) if nic["id"] in at.nics else DELETED

    return act


def list_interfaces(call: Call) -> Answer:
    """The interfaces of a machine."""
    return Answer(interfaces_json(call.region, call.machine("Node")))


def read_interface(call: Call) -> Answer:
    """One interface, by id or name."""
    at = _find(call)
    return Answer(interface_json(call.region, at.machine, at.nic))


def _create(kind: str, at: Target) -> Record:
    values = InterfaceForm(at.region, at.machine, at.nics, kind).clean(at.call.form)
    numa_node = 0 if kind == PHYSICAL else None
    number = at.region.tables.take_id("Interface")
    nic = at.nics.add(**new_interface(number, **values, type=kind, numa_node=numa_node))
    occupy_parents(at.nics, nic)
    if nic["vlan"] is not None and not nic["links"]:
        nic["links"] = [at.link(LINK_UP)]
    return nic


def _update(at: Target) -> None:
    """Change the properties of an interface. Another VLAN removes its links."""
    values = InterfaceForm(at.region, at.machine, at.nics, at.nic["type"], at.nic).clean(at.call.form)
    if values["vlan"] != at.nic["vlan"]:
        at.nic["links"] = []
    at.nic.update(values)
    occupy_parents(at.nics, at.nic)


def _delete(at: Target) -> None:
    """Delete an interface, and what has no other parent."""
    del at.nics[at.nic["id"]]
    for child in children(at.nics, at.nic):
        child["parents"] = [parent for parent in child["parents"] if parent != at.nic["id"]]
        if not child["parents"]:
            _delete(replace(at, nic=child))


def _link(at: Target) -> None:
    """Link an interface to a subnet. A link that only brings it up gives way."""
    region, nic = at.region, at.nic
    values = _link_form(at).clean(region.tables, at.call.form, None)
    mode, subnet, ip = values["mode"], region.tables["Subnet"].get(values["subnet"] or 0), None
    if mode == STATIC and subnet is not None:
        ip = values["ip_address"] or next_free(region, subnet)
        check_unused(region, subnet, ip)
    link = at.link(mode, values["subnet"], ip)
    nic["links"] = [each for each in nic["links"] if each["mode"] != LINK_UP and not values["force"]] + [link]
    if subnet is not None:
        nic["vlan"] = subnet["vlan"]
    if values["default_gateway"]:
        choose_gateway(region.tables, at.nics, link)


def _link_form(at: Target) -> RecordForm:
    def read_subnet(tables: Tables, value: str) -> int:
        """Read a subnet, which must be in the interface's VLAN if it has one."""
        for subnet in matching(tables, "Subnet", value):
            if loose_boolean(at.call.form, "force") or at.nic["vlan"] in (None, subnet["vlan"]):
                return int(subnet["id"])
        raise Invalid(fields.not_specified("Subnet", value))

    mode = fields.one_of("mode", AUTO, DHCP, STATIC, LINK_UP)
    return RecordForm(
        "Link",
        Field("subnet", read_subnet, default=None),
        Field("ip_address", fields.address, default=None),
        Field("default_gateway", fields.boolean, default=False),
        Field("force", fields.boolean, default=False),
        Field("mode", lambda tables, value: mode(tables, value.lower()), required=True),
        check=lambda cleaning: _check_link(at, cleaning),
    )


def _check_link(at: Target, cleaning: Cleaning) -> None:
    values, tables = cleaning.values, cleaning.tables
    mode, ip, subnet = values["mode"], values["ip_address"], tables["Subnet"].get(values["subnet"] or 0)
    if mode in (AUTO, STATIC) and subnet is None:
        cleaning.add_error("subnet", REQUIRED)
    if mode == LINK_UP and at.nic["links"] and not values["force"]:
        words = "Cannot configure interface to link up (with no IP address) while other links are already configured."
        cleaning.add_error("mode", f"{words} Specify force=True to override this behavior and delete all links.")
    if values["default_gateway"] and mode in (DHCP, LINK_UP):
        cleaning.add_error("default_gateway", f"Cannot use in mode '{mode}'.")
    if subnet is None:
        return
    described = f"'{subnet['name']}:{subnet['cidr']}(vid={tables['VLAN'][subnet['vlan']]['vid']})'"
    if values["default_gateway"] and mode not in (DHCP, LINK_UP) and not subnet["gateway_ip"]:
        words = f"Cannot set as default gateway because subnet {described} doesn't provide a gateway."
        cleaning.add_error("default_gateway", words)
    if ip and ip_address(ip) not in ip_network(subnet["cidr"]):
        cleaning.add_error("ip_address", f"IP address is not in the given subnet {described}.")
    elif ip and (inside := range_of(at.region, subnet, ip, type="dynamic")):
        ends = f"{inside['start_ip']} to {inside['end_ip']}"
        cleaning.add_error("ip_address", f"IP address is inside a dynamic range {ends}.")


def _unlink(at: Target) -> None:
    """Remove a link. An interface that is left without one is still brought up."""
    read = fields.one_of("id", *(str(link["id"]) for link in at.nic["links"]))
    form = RecordForm("Link", Field("id", read, required=True))
    number = int(form.clean(at.region.tables, at.call.form, None)["id"])
    at.nic["links"] = [link for link in at.nic["links"] if link["id"] != number] or [at.link(LINK_UP)]


def _set_default_gateway(at: Target) -> None:
    """Choose the gateways of an interface, or of one of its links, as those of the machine."""
    tables = at.region.tables
    usable = {
        str(link["id"]): (version, link)
        for version, link, _ in gateways_of(tables, at.nic)
        if link["mode"] in (AUTO, STATIC)
    }

    def check(cleaning: Cleaning) -> None:
        if not usable:
            cleaning.add_error(WHOLE_FORM, "This interface has no usable gateways.")
        if not cleaning.values["link_id"] and len({version for version, _ in usable.values()}) < len(usable):
            words = "This field is required; Interface has more than one usable IPv4 and/or IPv6 gateways."
            cleaning.add_error("link_id", words)

    form = RecordForm("Link", Field("link_id", fields.one_of("link_id", *usable), default=None), check=check)
    chosen = form.clean(tables, at.call.form, None)["link_id"]
    for _, link in [usable[chosen]] if chosen else usable.values():
        choose_gateway(tables, at.nics, link)


def clear_default_gateways(call: Call) -> Answer:
    """Forget the default gateways that users chose."""
    machine = call.machine()
    call.check_permission("admin", machine)
    nics = call.region.tables.interfaces.get(machine.system_id, Table("Interface"))
    for link in (link for nic in nics.values() for link in nic["links"]):
        link["gateway"] = False
    return Answer(machine_json(call.region, machine))


_PATH: Final = "nodes/{system_id}/interfaces/"
ENDPOINTS: Final = (
    route(
        "Interfaces",
        _PATH,
        GET=list_interfaces,
        POST_create_physical=_operation("create", partial(_create, PHYSICAL), "Node"),
        POST_create_bond=_operation("create bond", partial(_create, BOND), "Machine"),
        POST_create_bridge=_operation("create bridge", partial(_create, BRIDGE), "Machine"),
        POST_create_vlan=_operation("create VLAN", partial(_create, VLAN), "Machine"),
    ),
    route(
        "Interface",
        f"{_PATH}{{id}}/",
        GET=read_interface,
        PUT=_operation("update interface", _update, statuses=CHANGEABLE | {Status.DEPLOYED}),
        DELETE=_operation("delete interface", _delete),
        POST_add_tag=_operation("add tag", lambda at: add_tag(at.call, at.nic)),
        POST_remove_tag=_operation("remove tag", lambda at: remove_tag(at.call, at.nic)),
        POST_disconnect=_operation("disconnect", lambda at: at.nic.update(links=[], vlan=None)),
        POST_link_subnet=_operation("link subnet", _link),
        POST_unlink_subnet=_operation("unlink subnet", _unlink),
        POST_set_default_gateway=_operation("set default gateway", _set_default_gateway),
    ),
)
MACHINE_OPERATIONS: Final = keyed(POST_clear_default_gateways=clear_default_gateways)
