"""The network resources of the API: fabrics, VLANs, subnets, spaces, ranges of addresses and static routes."""

from ipaddress import ip_address, ip_network
from typing import Final

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.network_views import (
    NO_SPACE,
    fabric_json,
    space_json,
    subnet_json,
    vlan_json,
    vlans_of,
)
from maas_simulator.http.resources import Resource, by_id_or_name, refuse_default
from maas_simulator.http.subnet_addresses import statistics
from maas_simulator.model.fields import (
    WHOLE_FORM,
    Cleaning,
    Field,
    RecordForm,
    address,
    boolean,
    choice,
    cidr,
    find,
    listed,
    reference,
    text,
    whole,
)
from maas_simulator.model.networks import API, add_vlan
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import Refusal, not_found
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

NAME: Final = text(256, r"[\w -]+")
MOST_VID: Final = 4094


def _check_fabric(cleaning: Cleaning) -> None:
    name = cleaning.values["name"] or ""
    if name.startswith("fabric-") and (cleaning.old is None or cleaning.old["name"] != name):
        cleaning.add_error("name", "Reserved fabric name.")


def _add_untagged_vlan(call: Call, fabric: Record) -> None:
    fabric["name"] = fabric["name"] or f"fabric-{fabric['id']}"
    add_vlan(call.region.tables, fabric=fabric["id"])


FABRICS: Final = Resource(
    "Fabric",
    "fabrics/",
    "fabrics/{id}/",
    fabric_json,
    form=RecordForm(
        "Fabric",
        (
            Field("name", NAME, unique=True),
            Field("description", text(), default=""),
            Field("class_type", text(256), default=None),
        ),
        _check_fabric,
    ),
    find=by_id_or_name,
    after_create=_add_untagged_vlan,
    before_delete=refuse_default("fabric", lambda fabric: fabric["id"] == 0),
)


def _vid_in_range(vid: int | None) -> str | None:
    return None if vid is not None and 0 <= vid <= MOST_VID else "VID must be between 0 and 4094."


def _check_vlan(cleaning: Cleaning) -> None:
    values, tables = cleaning.values, cleaning.tables
    if values.get("dhcp_on") and not any(
        tables["IPRange"].where(subnet=subnet["id"], type="dynamic")
        for subnet in (tables["Subnet"].where(vlan=cleaning.old["id"]) if cleaning.old else ())
    ):
        cleaning.add_error("dhcp_on", "dhcp can only be turned on when a dynamic IP range is defined.")


def _vlan_fields(*, is_new: bool) -> tuple[Field, ...]:
    return (
        Field("name", NAME, default="untagged"),
        Field("description", text()),
        Field("vid", whole(), required=is_new, default=0, also=_vid_in_range),
        Field("mtu", whole(552, 65535), default=1500),
        Field("dhcp_on", boolean, default=False),
        Field("space", reference("Space"), default=None),
        Field("primary_rack", text(), default=None),
        Field("secondary_rack", text(), default=None),
        Field("relay_vlan", reference("VLAN"), default=None),
    )


def _check_tagged(call: Call, vlan: Record) -> None:
    del call
    if vlan["vid"] == 0:
        raise Refusal(400, "This VLAN is the default VLAN in the fabric, it cannot be deleted.")


NEW_VLAN: Final = RecordForm("VLAN", _vlan_fields(is_new=True), _check_vlan)
VLANS: Final = Resource(
    "VLAN",
    "",
    "vlans/{id}/",
    vlan_json,
    form=RecordForm("VLAN", _vlan_fields(is_new=False), _check_vlan),
    before_delete=_check_tagged,
)


def _fabric(call: Call) -> Record:
    found = find(call.region.tables["Fabric"], call.parts[0])
    if found is None:
        raise not_found("Fabric")
    return found


def fabric_vlans(call: Call) -> Answer:
    """The VLANs of a fabric."""
    return Answer([vlan_json(call.region, vlan) for vlan in vlans_of(call.region, fabric=_fabric(call)["id"])])


def _find_subnet(_call: Call, table: Table, name: str) -> Record | None:
    """Find a subnet by id, name, ``name:``, ``cidr:`` or CIDR."""
    named = table.named(name.removeprefix("name:")) or table.named(name.removeprefix("cidr:"), "cidr")
    return find(table, name) or named


def _check_subnet(cleaning: Cleaning) -> None:
    values, others = cleaning.values, cleaning.tables["Subnet"].values()
    if "cidr" in cleaning.errors or values["cidr"] is None:
        return
    network = ip_network(values["cidr"])
    if any(row is not cleaning.old and network.overlaps(ip_network(row["cidr"])) for row in others):
        cleaning.add_error(WHOLE_FORM, f"Subnet {network} would overlap with existing subnets.")
    values["name"] = values["name"] or values["cidr"]
    if values["gateway_ip"] and ip_address(values["gateway_ip"]) not in network:
        cleaning.add_error("gateway_ip", "Gateway IP must be within CIDR range.")


def _subnet(call: Call) -> Record:
    return SUBNETS.get(call)


SUBNETS: Final = Resource(
    "Subnet",
    "subnets/",
    "subnets/{id}/",
    subnet_json,
    form=RecordForm(
        "Subnet",
        (
            Field("name", text(255)),
            Field("description", text()),
            Field("vlan", reference("VLAN"), default=5001),
            Field("cidr", cidr, required=True, default=None, unique=True),
            Field("gateway_ip", address, default=None),
            Field("dns_servers", listed, default=[]),
            Field("rdns_mode", whole(0, 2), default=2),
            *(Field(name, boolean, default=True) for name in ("allow_dns", "allow_proxy", "managed")),
            Field("active_discovery", boolean, default=False),
            Field("disabled_boot_architectures", listed, default=[]),
        ),
        _check_subnet,
    ),
    find=_find_subnet,
    more_one={("GET", "statistics"): lambda call: statistics(call, _subnet(call))},
)

NO_SPACE_RECORD: Final[Record] = {
    "name": NO_SPACE,
    "id": -1,
    "description": "Backward compatibility object to ensure objects not associated with a space can be found.",
}


def _find_space(_call: Call, table: Table, name: str) -> Record | None:
    return NO_SPACE_RECORD if name in (NO_SPACE, "-1") else find(table, name) or table.named(name)


def spaces(call: Call) -> Answer:
    """All spaces by name, with the one of VLANs that have none."""
    every = sorted([*call.region.tables["Space"].values(), NO_SPACE_RECORD], key=lambda space: str(space["name"]))
    return Answer([space_json(call.region, space) for space in every])


SPACES: Final = Resource(
    "Space",
    "spaces/",
    "spaces/{id}/",
    space_json,
    form=RecordForm("Space", (Field("name", NAME, unique=True), Field("description", text()))),
    find=_find_space,
    more_many={("GET", None): spaces},
)


def _range_json(region: RegionState, record: Record) -> JSON:
    user = region.users.get(record["user"] or "")
    return {
        **record,
        "subnet": subnet_json(region, region.tables["Subnet"][record["subnet"]]),
        "user": user and user.as_json(),
        "resource_uri": f"{API}/ipranges/{record['id']}/",
    }


def _check_range(cleaning: Cleaning) -> None:
    values = cleaning.values
    if cleaning.errors:
        return
    if int(ip_address(values["end_ip"])) < int(ip_address(values["start_ip"])):
        cleaning.add_error("end_ip", "End IP address must not be less than Start IP address.")


RANGES: Final = Resource(
    "IPRange",
    "ipranges/",
    "ipranges/{id}/",
    _range_json,
    form=RecordForm(
        "IP range",
        (
            Field("subnet", reference("Subnet"), required=True),
            Field("type", choice("dynamic", "reserved"), required=True),
            Field("start_ip", address, required=True),
            Field("end_ip", address, required=True),
            Field("comment", text(255)),
        ),
        _check_range,
    ),
)


def networks(call: Call) -> Answer:
    """The subnets in MAAS's older format."""
    return Answer([_network_json(call.region, each) for each in call.region.tables["Subnet"].values()])


def network(call: Call) -> Answer:
    """One subnet in MAAS's older format, by its older name."""
    number = call.parts[0].removeprefix("subnet-")
    found = find(call.region.tables["Subnet"], number) if number != call.parts[0] else None
    if found is None:
        raise not_found("Subnet")
    return Answer(_network_json(call.region, found))


def _network_json(region: RegionState, subnet: Record) -> JSON:
    whole_network = ip_network(subnet["cidr"])
    return {
        "name": f"subnet-{subnet['id']}",
        "ip": str(whole_network.network_address),
        "netmask": str(whole_network.netmask),
        "vlan_tag": region.tables["VLAN"][subnet["vlan"]]["vid"],
        "description": subnet["name"],
        "default_gateway": subnet["gateway_ip"],
        "dns_servers": subnet["dns_servers"],
        "resource_uri": f"{API}/networks/subnet-{subnet['id']}/",
    }
