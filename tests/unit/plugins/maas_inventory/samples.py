"""MAAS's JSON of one object of each kind, from the simulator; for kinds that it has none of, as MAAS documents them."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any, Final

import trio

from maas_inventory.objects.catalogue import KINDS
from maas_mcp.maas.client import MaasClient
from maas_simulator import demo_region
from tests.house import client_of

JSON = Any

VM_HOST: Final[JSON] = {
    "id": 4,
    "name": "vault",
    "type": "lxd",
    "version": "5.21",
    "architectures": ["amd64/generic"],
    "tags": ["kvm"],
    "cpu_over_commit_ratio": 1.0,
    "memory_over_commit_ratio": 2.0,
    "host": {"system_id": "7xneda"},
    "pool": {"id": 0, "name": "default"},
    "zone": {"id": 1, "name": "default"},
    "total": {"cores": 16, "memory": 65536, "local_storage": 480_000_000_000},
    "used": {"cores": 4, "memory": 8192, "local_storage": 0},
    "resource_uri": "/MAAS/api/2.0/vm-hosts/4/",
}
DISCOVERY: Final[JSON] = {
    "discovery_id": "MTAuMTAuMC45OSw=",
    "ip": "10.10.0.99",
    "mac_address": "00:16:3e:11:22:33",
    "vid": None,
    "mac_organization": "Xensource",
    "hostname": "printer",
    "fabric_name": "fabric-0",
    "last_seen": "2026-11-28T19:10:38.489",
    "observer": {"system_id": "bwdhs4"},
}


async def fill(maas: MaasClient) -> None:
    """Add objects of the kinds that the demonstration has none of."""
    await maas.post("devices/", hostname="printer", mac_addresses="52:54:00:11:22:33")
    await maas.post("dnsresources/", fqdn="www.maas", ip_addresses="10.10.0.77")
    await maas.post("dnsresourcerecords/", fqdn="mail.maas", rrtype="TXT", rrdata="hello")
    await maas.post("static-routes/", source=1, destination=2, gateway_ip="10.10.0.3", metric=1)
    await maas.post("reservedips/", ip="10.10.0.8", mac_address="52:54:00:44:55:66", comment="gateway")


@cache
def _answers() -> dict[str, JSON]:
    async def read() -> dict[str, JSON]:
        maas = client_of(demo_region(speed=0.0))
        await fill(maas)
        answers = {kind.path: await maas.get(kind.path) for kind in KINDS.values() if kind.path}
        answers["subnets/1/"] = await maas.get_op("subnets/1/", "ip_addresses")
        await maas.aclose()
        return answers

    return trio.run(read)


def answer_of(kind: str) -> JSON:
    """MAAS's response with the list of a kind, with at least one object."""
    if kind == "vm_host":
        return [deepcopy(VM_HOST)]
    if kind == "discovery":
        return [deepcopy(DISCOVERY)]
    return deepcopy(_answers()[KINDS[kind].path or "subnets/1/"])


def many(kind: str, number: int) -> list[JSON]:
    """MAAS's response with a number of objects of a kind, with long names and distinct identities."""
    if kind == "vlan":  # MAAS has them inside of fabrics
        vlans = answer_of("fabric")[0]["vlans"]
        rows = [{**vlans[0], "id": 5001 + each, "vid": each % 4095, "name": _name(each)} for each in range(number)]
        return [{**answer_of("fabric")[0], "vlans": rows}]
    row = KINDS[kind].row
    first = answer_of(kind)[0]
    texts = {name: _name(0) for name in ("description", "comment", "title") if name in first}
    objects = []
    for each in range(number):
        key: JSON = each if isinstance(first[row.identity], int) else _name(each)
        name = {row.label: _name(each)} if isinstance(first.get(row.label), str) else {}
        objects.append({**first, **texts, **name, row.identity: key})
    return objects


def _name(number: int) -> str:
    return f"rack-{number % 40}-data-center-of-the-north-{number:05}"


def with_many(kind: str, number: int) -> Callable[[str], JSON]:
    """Answer with a number of objects of a kind, and the same details for each."""
    answer, path = many(kind, number), KINDS[kind].path
    single = {"subnets/": {"num_available": 65_000, "usage_string": "25%"}, "boot-resources/": {"id": 1, "sets": {}}}

    def give(asked: str) -> JSON:
        if asked == path:
            return answer
        return single[path] if asked.startswith(path) and path in single else NotImplemented

    return give
