"""The network: its resources and their rules, interfaces with their links, and the addresses of machines."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from maas_simulator import SimulatedRegion, Status
from simulator.tests.conftest import Maas

NODE = "7xneda"
NICS = f"nodes/{NODE}/interfaces/"
ENO1, ENO2 = f"{NICS}eno1/", f"{NICS}eno2/"
ADMINS_ONLY = "This method is reserved for admin users."
NO_CHOICE = "Select a valid choice. That choice is not one of the available choices."
DHCP_NEEDS_IT = "Cannot delete a subnet that is actively servicing a dynamic IP range."
MODES = "'balance-rr', 'active-backup', 'balance-xor', 'broadcast', '802.3ad', 'balance-tlb', 'balance-alb'"
NO_VID = ["Enter a whole number.", "VID must be between 0 and 4094."]
REQUIRED = "This field is required."


@pytest.fixture(autouse=True)
def _two_interfaces(region: SimulatedRegion) -> None:
    region.machine("node01").fabrics = (7,)


def part(answer: Any, expected: Any) -> Any:
    """The part of an answer that a test names."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        return {name: part(answer.get(name), value) for name, value in expected.items()}
    return answer


def check(client: Maas, call: str, status: int, expected: Any) -> None:
    """Send a method, a path and a form; a rejected form is expected to have one message a field, or a list."""
    method, path, *form = call.split(" ")
    answer = client.send(method, path, data=parse_qs(form[0])) if form else client.send(method, path)
    assert answer.status_code == status, answer.text
    shown = answer.json() if answer.headers["content-type"].startswith("application/json") else answer.text
    if status == 400 and isinstance(expected, dict):
        expected = {name: [each] if isinstance(each, str) else each for name, each in expected.items()}
    assert part(shown, expected) == expected


@pytest.mark.parametrize(
    ("call", "status", "expected"),
    [
        # fabrics and VLANs
        ("POST fabrics/", 200, {"name": "fabric-2", "class_type": None}),
        ("POST fabrics/ name=fabric-9", 400, {"name": "Reserved fabric name."}),
        ("POST fabrics/ name=fabric-lab", 200, {"name": "fabric-lab"}),
        ("GET fabrics/name:bmc-fabric/", 200, {"id": 1}),
        ("GET fabrics/vlan:vid:100/", 200, {"id": 0}),
        ("DELETE fabrics/0/", 400, "This fabric is the default fabric, it cannot be deleted."),
        ("DELETE fabrics/1/", 400, "Can't delete fabric; the following subnets are still present: 10.20.0.0/24"),
        ("GET fabrics/0/vlans/untagged/", 200, {"id": 5001}),
        ("GET fabrics/0/vlans/100/", 200, {"name": "storage"}),
        ("GET fabrics/0/vlans/4095/", 400, "VLAN tag (VID) out of range (0-4094; 0 for untagged.)"),
        ("GET fabrics/99/vlans/0/", 404, "No Fabric matches the given query."),
        ("POST fabrics/1/vlans/ vid=7&mtu=9000", 200, {"name": "7", "fabric_id": 1, "mtu": 9000}),
        ("POST fabrics/0/vlans/ vid=x", 400, {"vid": NO_VID}),
        ("PUT fabrics/0/vlans/100/ name=disks", 200, {"vid": 100, "name": "disks"}),
        ("PUT vlans/5003/ space=nospace", 400, {"space": "None found with name=nospace."}),
        ("PUT vlans/5003/ relay_vlan=5003", 400, {"relay_vlan": NO_CHOICE}),
        ("PUT vlans/5003/ relay_vlan=5001", 200, {"relay_vlan": {"id": 5001, "relay_vlan": None}}),
        ("DELETE vlans/5001/", 400, "This VLAN is the default VLAN in the fabric, it cannot be deleted."),
        # subnets
        ("GET subnets/cidr:10.30.0.0%2F24/", 200, {"name": "storage"}),
        ("GET subnets/10.30.0.0%2F24/", 200, {"name": "storage"}),
        ("GET subnets/vid:100/", 200, {"name": "storage"}),
        ("GET subnets/fabric:bmc-fabric/", 200, {"name": "bmc"}),
        ("GET subnets/vlan:5003/", 200, {"name": "storage"}),
        ("GET subnets/ip:10.20.0.7/", 200, {"name": "bmc"}),
        ("GET subnets/space:nospace/", 404, "No Subnet matches the given query."),
        ("GET subnets/vid:0/", 500, "Got more than one subnet."),
        ("POST subnets/ cidr=10.98.0.0/24&vid=100", 200, {"vlan": {"vid": 100}, "name": "10.98.0.0/24"}),
        ("POST subnets/ cidr=10.98.0.0/24&vid=9", 400, {"vid": "No VLAN with vid 9 in default fabric."}),
        (
            "POST subnets/ cidr=10.10.0.0/24",
            400,
            {
                "__all__": "Subnet 10.10.0.0/24 would overlap with existing subnets.",
                "cidr": "Subnet with this Cidr already exists.",
            },
        ),
        ("DELETE subnets/1/", 400, f"{DHCP_NEEDS_IT} (Delete the dynamic range or disable DHCP first.)"),
        ("GET subnets/2/?op=reserved_ip_ranges", 200, []),
        (
            "GET subnets/2/?op=statistics&include_suggestions=1",
            200,
            {
                "suggested_gateway": "10.20.0.1",
                "suggested_dynamic_range": {"start": "10.20.0.192", "end": "10.20.0.254", "num_addresses": 63},
            },
        ),
        (
            "GET subnets/2/?op=statistics&include_ranges=1",
            200,
            {"ranges": [{"start": "10.20.0.1", "end": "10.20.0.254", "num_addresses": 254, "purpose": ["unused"]}]},
        ),
        # spaces
        ("POST spaces/", 200, {"name": "space-1"}),
        ("POST spaces/ name=space-7", 400, {"name": "Reserved space name."}),
        ("PUT spaces/undefined/ name=x", 404, "No Space matches the given query."),
        # ranges
        ("POST ipranges/ type=reserved", 500, "'NoneType' object has no attribute 'split'"),
        (
            "POST ipranges/ type=reserved&start_ip=10.20.0.5&end_ip=10.20.0.9",
            200,
            {"subnet": {"id": 2}, "user": {"username": "admin"}},
        ),
        (
            "POST ipranges/ type=reserved&start_ip=10.10.0.5&end_ip=10.10.0.30",
            400,
            {"__all__": "Requested reserved range conflicts with an existing range."},
        ),
        (
            "POST ipranges/ type=dynamic&start_ip=10.10.0.250&end_ip=10.10.0.254",
            400,
            {"__all__": "Requested dynamic range conflicts with an existing IP address or range."},
        ),
        (
            "POST ipranges/ type=dynamic&start_ip=10.20.0.0&end_ip=10.20.0.255",
            400,
            {
                "start_ip": "Reserved network address cannot be included in IP range.",
                "end_ip": "Broadcast address cannot be included in IP range.",
            },
        ),
        ("PUT ipranges/1/ end_ip=10.10.0.4", 200, {"start_ip": "10.10.0.1", "end_ip": "10.10.0.4"}),
        # static routes and reserved addresses
        (
            "POST static-routes/ source=1&destination=1&gateway_ip=10.10.0.9",
            400,
            {"__all__": "source and destination cannot be the same subnet."},
        ),
        (
            "POST static-routes/ source=name:pxe&destination=2&gateway_ip=10.10.0.9",
            200,
            {"source": {"id": 1}, "destination": {"id": 2}, "metric": 0},
        ),
        ("POST static-routes/ source=9&destination=2&gateway_ip=10.10.0.9", 400, {"source": "None found with id=9."}),
        (
            "POST reservedips/ ip=10.20.0.50&mac_address=52:54:00:EE:02:02",
            200,
            {"subnet": {"id": 2}, "mac_address": "52:54:00:ee:02:02", "comment": ""},
        ),
        ("POST reservedips/", 400, {"ip": REQUIRED, "mac_address": REQUIRED}),
        ("POST ipaddresses/?op=reserve subnet=2", 200, {"ip": "10.20.0.1", "alloc_type_name": "User reserved"}),
        (
            "POST ipaddresses/?op=reserve ip=10.10.0.150",
            404,
            "10.10.0.150 is within the dynamic range from 10.10.0.100 to 10.10.0.199",
        ),
        ("POST ipaddresses/?op=release ip=10.20.0.1", 404, "No StaticIPAddress matches the given query."),
        # DNS
        ("POST domains/ name=a..b", 400, {"name": "DNS name contains an empty label."}),
        ("POST domains/ name=-a", 400, {"name": "Label cannot start or end with hyphen: '-a'."}),
        ("GET domains/maas/", 200, {"id": 0, "is_default": True}),
        ("POST domains/?op=set_serial", 400, "No provided serial!"),
        ("POST domains/?op=set_serial serial=7", 200, "OK"),
        ("POST dnsresources/ fqdn=x", 500, "cannot unpack non-iterable NoneType object"),
        ("POST spaces/ name=!!", 400, {"name": "Invalid space name: !!."}),
        (
            "POST dnsresources/ fqdn=www.maas&ip_addresses=10.20.0.5+10.20.0.6",
            200,
            {"fqdn": "www.maas", "address_ttl": None, "resource_records": []},
        ),
        (
            "POST dnsresourcerecords/ fqdn=www.maas&rrtype=txt&rrdata=hello",
            200,
            {"fqdn": "www.maas", "rrtype": "TXT", "ttl": None},
        ),
    ],
)
def test_each_resource_has_the_rules_of_maas(admin: Maas, call: str, status: int, expected: Any) -> None:
    check(admin, call, status, expected)


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        *((f"POST {kind}/", 403, ADMINS_ONLY) for kind in ("subnets", "fabrics", "spaces", "domains", "reservedips")),
        ("POST fabrics/0/vlans/", 403, ADMINS_ONLY),
        ("PUT subnets/1/", 403, ""),
        ("DELETE vlans/5003/", 403, ""),
        ("PUT ipranges/1/", 403, "Unable to modify IP range. You don't own the IP range."),
        ("POST ipranges/?type=dynamic", 500, "'NoneType' object has no attribute 'split'"),
        ("GET ipaddresses/?all=true", 403, "Listing all IP addresses requires admin privileges."),
        (f"POST {ENO1}?op=disconnect", 403, ""),
        (f"POST {NICS}?op=create_bond", 403, ""),
        (f"POST machines/{NODE}/?op=clear_default_gateways", 403, ""),
    ],
)
def test_only_superusers_change_the_network(bob: Maas, call: str, status: int, words: str) -> None:
    check(bob, call, status, words)


def test_a_user_may_change_a_range_of_ones_own(bob: Maas) -> None:
    made = bob.post("ipranges/", type="reserved", start_ip="10.20.0.5", end_ip="10.20.0.9").json()
    check(bob, f"PUT ipranges/{made['id']}/ comment=mine", 200, {"comment": "mine"})
    check(bob, f"DELETE ipranges/{made['id']}/", 204, "")


@pytest.mark.parametrize(
    ("call", "status", "expected"),
    [
        (f"POST {NICS}?op=create_physical", 400, {"mac_address": REQUIRED}),
        (
            f"POST {NICS}?op=create_physical mac_address=52:54:00:AA:01:99&vlan=5001&tags=a,b",
            200,
            {"name": "eth0", "mac_address": "52:54:00:aa:01:99", "vlan": {"id": 5001}, "tags": ["a", "b"]},
        ),
        (
            f"POST {NICS}?op=create_bond name=bond0&parents=10&parents=99",
            400,
            {
                "parents": "Select a valid choice. 99 is not one of the available choices.",
                "mac_address": "This field cannot be blank.",
            },
        ),
        (
            f"POST {NICS}?op=create_bond name=bond0&parents=10&bond_mode=nope",
            400,
            {"bond_mode": f"'nope' is not a valid bond_mode.  It should be one of: {MODES}."},
        ),
        (
            f"POST {NICS}?op=create_bond name=bond0&parents=10&parents=11",
            400,
            {"parents": "All parents must belong to the same VLAN."},
        ),
        (
            f"POST {NICS}?op=create_vlan parent=10&vlan=5003",
            200,
            {"name": "eno1.100", "type": "vlan", "parents": ["eno1"], "vlan": {"vid": 100}, "numa_node": None},
        ),
        (
            f"POST {NICS}?op=create_vlan parent=10&vlan=5001",
            400,
            {"vlan": "A VLAN interface can only belong to a tagged VLAN."},
        ),
        (
            f"POST {NICS}?op=create_bridge name=br0&parent=10",
            200,
            {"type": "bridge", "params": {"bridge_type": "standard", "bridge_stp": False, "bridge_fd": 15}},
        ),
        (f"PUT {ENO1} mtu=9000", 200, {"params": {"mtu": 9000}, "effective_mtu": 9000}),
        (f"PUT {ENO1} name=eno2", 400, {"name": "Node node01 already has an interface named 'eno2'."}),
        (f"PUT {ENO2} vlan=5001", 200, {"vlan": {"id": 5001}, "links": []}),
        (f"POST {ENO1}?op=add_tag tag=uplink", 200, {"tags": ["uplink"]}),
        (f"POST {ENO1}?op=add_tag", 400, "No provided tag!"),
        (f"POST {ENO1}?op=disconnect", 200, {"links": [], "vlan": None}),
        (f"POST {ENO1}?op=link_subnet", 400, {"mode": REQUIRED}),
        (f"POST {ENO2}?op=link_subnet mode=STATIC&subnet=1", 400, {"subnet": ["None found with id=1.", REQUIRED]}),
        (
            f"POST {ENO1}?op=link_subnet mode=STATIC&subnet=1&ip_address=10.10.0.150",
            400,
            {"ip_address": "IP address is inside a dynamic range 10.10.0.100 to 10.10.0.199."},
        ),
        (
            f"POST {ENO1}?op=link_subnet mode=DHCP&default_gateway=true",
            400,
            {"default_gateway": "Cannot use in mode 'dhcp'."},
        ),
        (f"POST {ENO1}?op=unlink_subnet id=7", 400, {"id": "'7' is not a valid id.  It should be one of: '10'."}),
        (f"POST {ENO1}?op=unlink_subnet id=10", 200, {"vlan": {"id": 5001}}),
        (f"DELETE {ENO2}", 204, ""),
        (f"DELETE {NICS}eno9/", 404, "No Interface matches the given query."),
    ],
)
def test_each_operation_on_an_interface_has_the_rules_of_maas(
    admin: Maas, call: str, status: int, expected: Any
) -> None:
    check(admin, call, status, expected)


def test_the_network_can_be_changed_only_while_a_machine_is_not_in_use(admin: Maas, region: SimulatedRegion) -> None:
    region.machine("node01").status = Status.DEPLOYED
    words = "interface because the machine is not New, Ready, Allocated, or Broken."
    check(admin, f"DELETE {ENO1}", 409, f"Cannot delete interface {words}")
    check(admin, f"POST {NICS}?op=create_bond", 409, f"Cannot create bond {words}")
    check(admin, f"PUT {ENO1} mtu=9000&name=lan", 200, {"name": "lan", "params": {}})


def test_a_changed_network_is_shown_everywhere(admin: Maas) -> None:
    check(admin, f"PUT {ENO2} vlan=5001", 200, {})
    made = admin.post(f"{NICS}?op=create_bond", name="bond0", parents=["10", "11"], bond_mode="802.3ad").json()
    assert made["params"]["bond_mode"] == "802.3ad"
    bond = f"{NICS}{made['id']}/?op="
    form = "mode=STATIC&subnet=pxe&ip_address=10.10.0.60&default_gateway=true"
    [link] = admin.send("POST", f"{bond}link_subnet", data=parse_qs(form)).json()["links"]
    machine = admin.read("node01")
    assert machine["ip_addresses"] == ["10.10.0.60"]
    assert machine["default_gateways"]["ipv4"] == {"gateway_ip": "10.10.0.254", "link_id": link["id"]}
    assert [(nic["name"], nic["children"]) for nic in machine["interface_set"]] == [
        ("eno1", ["bond0"]),
        ("eno2", ["bond0"]),
        ("bond0", []),
    ]
    used = [each for each in admin.get("subnets/1/?op=ip_addresses").json() if each["ip"] == "10.10.0.60"]
    assert [(each["alloc_type"], each["node_summary"]["via"]) for each in used] == [(1, "bond0")]
    check(admin, f"POST {bond}link_subnet {form}", 404, "IP address is already in use.")
    asked = admin.post("machines/?op=allocate", interfaces="lan:name=bond0,mode=static", dry_run="true")
    assert asked.json()["constraints_by_type"] == {"interfaces": {"lan": [made["id"]]}}
    admin.op("node01", "clear_default_gateways")
    assert admin.read("node01")["default_gateways"]["ipv4"]["link_id"] is None
    assert admin.send("DELETE", f"{NICS}{made['id']}/").status_code == 204
    assert [nic["children"] for nic in admin.read("node01")["interface_set"]] == [[], []]


def test_a_deployment_assigns_addresses_and_a_release_takes_them_back(admin: Maas, clock: Any) -> None:
    admin.post("subnets/", cidr="10.99.0.0/29", vlan="5001", name="few")
    admin.post(f"{ENO1}?op=link_subnet", mode="AUTO", subnet="few")
    free = admin.get("subnets/few/?op=statistics").json()["num_available"]
    admin.op("node01", "deploy")
    assert admin.read("node01")["ip_addresses"][1:] == ["10.99.0.1"]
    assert admin.get("subnets/few/?op=statistics").json()["num_available"] == free - 1
    clock.pass_(3600)
    admin.op("node01", "release")
    clock.pass_(3600)
    links = admin.read("node01")["boot_interface"]["links"]
    assert [(link["mode"], "ip_address" in link) for link in links] == [("auto", False), ("auto", False)]
    assert admin.get("subnets/few/?op=statistics").json()["num_available"] == free


def test_commissioning_restores_the_network_that_it_finds(admin: Maas, clock: Any) -> None:
    admin.post(f"{NICS}?op=create_bridge", name="br0", parent="10")
    admin.op("node01", "commission", testing_scripts="none")
    clock.pass_(3600)
    nics = admin.read("node01")["interface_set"]
    assert [(nic["name"], [link["mode"] for link in nic["links"]]) for nic in nics] == [
        ("eno1", ["auto"]),
        ("eno2", ["link_up"]),
    ]


def test_what_refers_to_a_deleted_object_is_removed_or_moved(admin: Maas) -> None:
    route = admin.post("static-routes/", source="1", destination="3", gateway_ip="10.10.0.9").json()
    admin.post("dhcp-snippets/", name="menu", value="option", subnet="3")
    admin.post(f"{NICS}?op=create_vlan", parent="10", vlan="5003")
    assert admin.send("DELETE", "vlans/5003/").status_code == 204
    assert admin.get("subnets/3/").json()["vlan"]["id"] == 5001
    assert [nic["name"] for nic in admin.get(NICS).json()] == ["eno1", "eno2"]
    assert admin.send("DELETE", "subnets/3/").status_code == 204
    assert admin.get(f"static-routes/{route['id']}/").status_code == 404
    assert admin.get("dhcp-snippets/").json() == []


def test_another_domain_can_be_the_default(admin: Maas) -> None:
    made = admin.post("domains/", name="example.com").json()
    check(admin, f"POST domains/{made['id']}/?op=set_default", 200, {"is_default": True})
    check(admin, "GET domains/0/", 200, {"is_default": False})
    words = "This domain is the default domain, it cannot be deleted."
    check(admin, f"DELETE domains/{made['id']}/", 400, words)


def test_an_acquired_machine_gets_bridges_until_its_release(admin: Maas, clock: Any) -> None:
    form = {"bridge_all": "true", "bridge_fd": "3"}
    nics = admin.op("node01", "deploy", **form).json()["interface_set"]
    assert [(nic["name"], nic["parents"], len(nic["links"])) for nic in nics] == [
        ("eno1", [], 0),
        ("eno2", [], 1),
        ("br-eno1", ["eno1"], 1),
    ]
    assert nics[2]["params"] == {"bridge_type": "standard", "bridge_stp": False, "bridge_fd": 3}
    assert [link["ip_address"] for link in admin.read("node01")["interface_set"][2]["links"]]
    clock.pass_(3600)
    admin.op("node01", "release")
    clock.pass_(3600)
    assert [nic["name"] for nic in admin.read("node01")["interface_set"]] == ["eno1", "eno2"]
