"""The network interfaces of machines in the API, and their links to subnets."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Final

from maas_simulator.http.calls import Answer, Call, Endpoint, Handler
from maas_simulator.http.interface_forms import InterfaceForm, occupy_parents
from maas_simulator.http.interface_views import children, interface_json, interfaces_json
from maas_simulator.http.render import machine_json
from maas_simulator.http.resources import DELETED, add_tag, remove_tag
from maas_simulator.model.fields import (
    REQUIRED,
    WHOLE_FORM,
    Cleaning,
    Field,
    Invalid,
    RecordForm,
    address,
    boolean,
    no_such_choice,
    one_of,
)
from maas_simulator.model.forms import last
from maas_simulator.model.interfaces import (
    AUTO,
    BOND,
    BRIDGE,
    DHCP,
    LINK_UP,
    PHYSICAL,
    STATIC,
    VLAN,
    gateway_of,
    interfaces,
    new_interface,
    new_link,
    remove_link,
)
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.records import Record, Table, Tables
from maas_simulator.model.refusals import conflict, invalid, not_found, refused_form
from maas_simulator.model.specifiers import matching, parse_specifier
from maas_simulator.model.statuses import Status
from maas_simulator.operations.addresses import check_unused, next_free, range_of
from maas_simulator.state import RegionState

CHANGEABLE: Final = frozenset({Status.NEW, Status.READY, Status.ALLOCATED, Status.FAILED_TESTING, Status.BROKEN})
"""The statuses in which MAAS allows changes of the network. Its message leaves one out."""
WHILE_DEPLOYED: Final = frozenset({"name", "mac_address"})
"""What can be changed of an interface of a deployed machine."""

Change = Callable[[Call, Table, Record], None]
"""Changes one of the interfaces of a machine, or raises a ``Refusal``."""


def list_interfaces(call: Call) -> Answer:
    """The interfaces of a machine."""
    return Answer(interfaces_json(call.region, call.machine("Node")))


def read_interface(call: Call) -> Answer:
    """One interface, by id or name."""
    machine = call.machine("Interface")
    nic = _find(call, interfaces(call.region.tables, machine))
    return Answer(interface_json(call.region, machine, nic))


def _find(call: Call, nics: Table) -> Record:
    name = call.parts[1].removeprefix("name:").removeprefix("id:")
    found = next((nic for nic in nics.values() if name in (str(nic["id"]), nic["name"])), None)
    if found is None:
        raise not_found("Interface")
    return found


def _check_changeable(machine: SimulatedMachine, operation: str) -> None:
    if machine.status not in CHANGEABLE:
        raise conflict(f"Cannot {operation} interface because the machine is not New, Ready, Allocated, or Broken.")


def _create(kind: str, operation: str) -> Handler:
    """Create an interface of this type, for superusers."""

    def create(call: Call) -> Answer:
        machine = call.machine("Machine" if kind != PHYSICAL else "Node")
        call.check_permission("admin", machine)
        _check_changeable(machine, operation)
        values = InterfaceForm(call.region, machine, kind).clean(call.form)
        nics = interfaces(call.region.tables, machine)
        nic = nics.add(**new_interface(call.region.tables, **values, type=kind))
        nic["numa_node"] = 0 if kind == PHYSICAL else None
        occupy_parents(nics, nic)
        if nic["vlan"] is not None and not nic["links"]:
            nic["links"] = [new_link(call.region.tables, LINK_UP, now=call.region.now())]
        return _store(call, machine, nics, nic)

    return create


def _find_to_change(
    call: Call, operation: str, *, while_deployed: bool = False
) -> tuple[SimulatedMachine, Table, Record]:
    machine = call.machine("Interface")
    nics = interfaces(call.region.tables, machine)
    nic = _find(call, nics)
    call.check_permission("admin", machine)
    if not (while_deployed and machine.status is Status.DEPLOYED):
        _check_changeable(machine, operation)
    return machine, nics, nic


def _store(call: Call, machine: SimulatedMachine, nics: Table, nic: Record) -> Answer:
    call.region.tables.interfaces[machine.system_id] = nics
    return Answer(interface_json(call.region, machine, nic))


def _change(operation: str, change: Change) -> Handler:
    """Change an interface, for superusers, and show it."""

    def act(call: Call) -> Answer:
        machine, nics, nic = _find_to_change(call, operation)
        change(call, nics, nic)
        return _store(call, machine, nics, nic)

    return act


def update_interface(call: Call) -> Answer:
    """Change the properties of an interface. Another VLAN removes its links."""
    machine, nics, nic = _find_to_change(call, "update interface", while_deployed=True)
    only = WHILE_DEPLOYED if machine.status is Status.DEPLOYED else None
    values = InterfaceForm(call.region, machine, nic["type"], nic, only).clean(call.form)
    if values["vlan"] != nic["vlan"]:
        nic["links"] = []
    nic.update(values)
    occupy_parents(nics, nic)
    return _store(call, machine, nics, nic)


def delete_interface(call: Call) -> Answer:
    """Delete an interface, and what has no other parent."""
    machine, nics, nic = _find_to_change(call, "delete interface")
    _delete(nics, nic)
    call.region.tables.interfaces[machine.system_id] = nics
    return DELETED


def _delete(nics: Table, nic: Record) -> None:
    del nics[nic["id"]]
    for child in children(nics, nic):
        child["parents"] = [parent for parent in child["parents"] if parent != nic["id"]]
        if not child["parents"]:
            _delete(nics, child)


def _disconnect(_call: Call, _nics: Table, nic: Record) -> None:
    nic["links"], nic["vlan"] = [], None


def _read_subnet(nic: Record, *, forced: bool) -> Callable[[Tables, str], int]:
    """Read a subnet, which must be in the interface's VLAN if it has one."""

    def read(tables: Tables, value: str) -> int:
        for subnet in matching(tables, "Subnet", value):
            if forced or nic["vlan"] in (None, subnet["vlan"]):
                return int(subnet["id"])
        raise Invalid(f"None found with {'='.join(parse_specifier('Subnet', value))}.")

    return read


_read_mode: Final = one_of("mode", AUTO, DHCP, STATIC, LINK_UP)


def _link_form(call: Call, nic: Record) -> RecordForm:
    forced = boolean(call.region.tables, last(call.form, "force"))
    return RecordForm(
        "Link",
        (
            Field("subnet", _read_subnet(nic, forced=forced), default=None),
            Field("ip_address", address, default=None),
            Field("default_gateway", boolean, default=False),
            Field("force", boolean, default=False),
            Field("mode", lambda tables, value: _read_mode(tables, value.lower()), required=True),
        ),
        lambda cleaning: _check_link(call.region, nic, cleaning),
    )


def _check_link(region: RegionState, nic: Record, cleaning: Cleaning) -> None:
    values = cleaning.values
    mode, ip, subnet = values["mode"], values["ip_address"], region.tables["Subnet"].get(values["subnet"] or 0)
    if mode in (AUTO, STATIC) and subnet is None:
        cleaning.add_error("subnet", REQUIRED)
    if mode == LINK_UP and nic["links"] and not values["force"]:
        words = "Cannot configure interface to link up (with no IP address) while other links are already configured."
        cleaning.add_error("mode", f"{words} Specify force=True to override this behavior and delete all links.")
    if values["default_gateway"] and mode in (DHCP, LINK_UP):
        cleaning.add_error("default_gateway", f"Cannot use in mode '{mode}'.")
    elif values["default_gateway"] and subnet and not subnet["gateway_ip"]:
        words = f"Cannot set as default gateway because subnet '{_describe(region, subnet)}' doesn't provide a gateway."
        cleaning.add_error("default_gateway", words)
    if ip and subnet and ip_address(ip) not in ip_network(subnet["cidr"]):
        cleaning.add_error("ip_address", f"IP address is not in the given subnet '{_describe(region, subnet)}'.")
    elif ip and subnet and (inside := range_of(region, subnet, ip, type="dynamic")):
        ends = f"{inside['start_ip']} to {inside['end_ip']}"
        cleaning.add_error("ip_address", f"IP address is inside a dynamic range {ends}.")


def _describe(region: RegionState, subnet: Record) -> str:
    return f"{subnet['name']}:{subnet['cidr']}(vid={region.tables['VLAN'][subnet['vlan']]['vid']})"


def _link(call: Call, nics: Table, nic: Record) -> None:
    tables = call.region.tables
    values = _link_form(call, nic).clean(tables, call.form, Table("Link"))
    mode, subnet, ip = values["mode"], tables["Subnet"].get(values["subnet"] or 0), None
    if mode == STATIC and subnet is not None:
        ip = values["ip_address"] or next_free(call.region, subnet)
        check_unused(call.region, subnet, ip)
    kept = [] if values["force"] else [link for link in nic["links"] if link["mode"] != LINK_UP]
    link = new_link(tables, mode, values["subnet"], ip, call.region.now())
    nic["links"] = [*kept, link]
    if subnet is not None and nic["vlan"] != subnet["vlan"]:
        nic["vlan"] = subnet["vlan"]
    if values["default_gateway"]:
        _choose_gateway(tables, nics, link)


def _unlink(call: Call, _nics: Table, nic: Record) -> None:
    """Remove a link. An interface that is left without one is still brought up."""
    remove_link(nic, _link_of(call, nic["links"], "id"))
    if not nic["links"]:
        nic["links"] = [new_link(call.region.tables, LINK_UP, now=call.region.now())]


def _link_of(call: Call, links: list[Record], name: str) -> Record:
    asked = last(call.form, name)
    if not asked:
        raise invalid(name, REQUIRED)
    found = next((link for link in links if str(link["id"]) == asked), None)
    if found is None:
        raise invalid(name, no_such_choice(name, asked, [link["id"] for link in links]))
    return found


def _set_default_gateway(call: Call, nics: Table, nic: Record) -> None:
    tables = call.region.tables
    usable = [link for link in nic["links"] if link["mode"] in (AUTO, STATIC) and gateway_of(tables, link)]
    asked = last(call.form, "link_id")
    chosen = [link for link in usable if str(link["id"]) == asked] if asked else usable
    errors: dict[str, list[str]] = {}
    if asked and not chosen:
        errors["link_id"] = [no_such_choice("link_id", asked, [link["id"] for link in usable])]
    if not usable:
        errors[WHOLE_FORM] = ["This interface has no usable gateways."]
    versions = [_version(tables, link) for link in chosen]
    if len(set(versions)) < len(versions):
        words = "This field is required; Interface has more than one usable IPv4 and/or IPv6 gateways."
        errors["link_id"] = [words]
    if errors:
        raise refused_form(errors)
    for link in chosen:
        _choose_gateway(tables, nics, link)


def _version(tables: Tables, link: Record) -> int:
    return ip_network(tables["Subnet"][link["subnet"]]["cidr"]).version


def _choose_gateway(tables: Tables, nics: Table, link: Record) -> None:
    for nic in nics.values():
        for other in nic["links"]:
            if gateway_of(tables, other) and _version(tables, other) == _version(tables, link):
                other["gateway"] = other is link


def clear_default_gateways(call: Call) -> Answer:
    """Forget the default gateways that users chose."""
    machine = call.machine()
    call.check_permission("admin", machine)
    nics = call.region.tables.interfaces.get(machine.system_id, Table("Interface"))
    for link in (link for nic in nics.values() for link in nic["links"]):
        link["gateway"] = False
    return Answer(machine_json(call.region, machine))


_CREATE: Final[Mapping[str, str]] = {
    PHYSICAL: "create",
    BOND: "create bond",
    BRIDGE: "create bridge",
    VLAN: "create VLAN",
}
_CHANGES: Final[Mapping[str, tuple[str, Change]]] = {
    "add_tag": ("add tag", lambda call, _machine, nic: add_tag(call, nic)),
    "remove_tag": ("remove tag", lambda call, _machine, nic: remove_tag(call, nic)),
    "disconnect": ("disconnect", _disconnect),
    "link_subnet": ("link subnet", _link),
    "unlink_subnet": ("unlink subnet", _unlink),
    "set_default_gateway": ("set default gateway", _set_default_gateway),
}
ENDPOINTS: Final = (
    Endpoint(
        "Interfaces",
        "nodes/{system_id}/interfaces/",
        {
            ("GET", None): list_interfaces,
            **{("POST", f"create_{kind}"): _create(kind, operation) for kind, operation in _CREATE.items()},
        },
    ),
    Endpoint(
        "Interface",
        "nodes/{system_id}/interfaces/{id}/",
        {
            ("GET", None): read_interface,
            ("PUT", None): update_interface,
            ("DELETE", None): delete_interface,
            **{("POST", name): _change(*change) for name, change in _CHANGES.items()},
        },
    ),
)
MACHINE_OPERATIONS: Final[Mapping[tuple[str, str | None], Handler]] = {
    ("POST", "clear_default_gateways"): clear_default_gateways,
}
