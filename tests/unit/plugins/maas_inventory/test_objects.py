"""Listing objects of all kinds: names, filters, order, pages, and what MAAS shows only for single objects."""

from collections.abc import Iterator
from typing import Any

import pytest
import trio

from maas_inventory.objects.catalogue import KINDS
from maas_inventory.objects.kind_names import NAMES
from maas_inventory.objects.listing import ListObjects, ObjectPage
from maas_mcp.api import InvalidArgumentsError, MaasError, MaasNotFoundError, MaasPermissionError, MaasProtocolError
from maas_mcp.errors import MaasUnavailableError
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import MaasRegion
from tests.house import client_of
from tests.odd import spoilt
from tests.unit.plugins.maas_inventory.samples import DISCOVERY, VM_HOST, fill


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with MaasRegion() as region:
        trio.run(fill, client_of(region))
        sent = len(region.requests)
        assert sent
        yield region


def list_objects(region: MaasRegion, kind: str, **arguments: Any) -> ObjectPage:
    return region.call(ListObjects, kind=kind, **arguments)


def names(page: ObjectPage, field: str = "name") -> list[JSON]:
    return [item.get(field) for item in page.items]


def paths(region: MaasRegion, before: int) -> list[str]:
    return [str(request.template) for request in region.requests[before:]]


def test_the_published_kinds_are_those_of_the_catalogue() -> None:
    assert list(KINDS) == list(NAMES)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.path])
def test_every_kind_is_listed_with_its_identity_and_in_short_form(region: MaasRegion, kind: str) -> None:
    samples = {"vm-hosts/": [VM_HOST], "discovery/": [DISCOVERY]}
    with spoilt(samples.get):
        page = list_objects(region, kind)

    assert page.items
    assert page.total >= len(page.items)
    assert page.unreadable == []
    for item in page.items:
        assert KINDS[kind].row.identity in item
        assert "resource_uri" not in item
        assert None not in item.values()


def test_subnets_are_listed_with_their_network_and_free_addresses(region: MaasRegion) -> None:
    page = list_objects(region, "subnet", name="pxe")

    assert page.items == [
        {
            "id": 1,
            "name": "pxe",
            "cidr": "10.10.0.0/24",
            "vlan": "untagged",
            "vlan_id": 5001,
            "vid": 0,
            "fabric": "fabric-0",
            "space": "undefined",
            "gateway_ip": "10.10.0.254",
            "dhcp_on": True,
            "free": 139,
            "used": "45%",
        }
    ]
    assert ListObjects().summary(page).splitlines()[0] == "1 of 1 subnets"


def test_free_addresses_are_read_for_the_subnets_of_the_page_only(region: MaasRegion) -> None:
    before = len(region.requests)
    list_objects(region, "subnet", limit=2)

    assert paths(region, before) == ["subnets/", "subnets/{id}/", "subnets/{id}/"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pxe", ["pxe"]),
        ("PXE", ["pxe"]),
        (" p*e ", ["pxe"]),
        ("1", ["pxe"]),
        ("10.30.0.0/24", ["storage"]),
        ("10.?0.0.0/24", ["bmc", "pxe", "storage"]),
        ("[", []),
    ],
)
def test_an_object_is_found_by_name_id_or_cidr_in_any_case(region: MaasRegion, name: str, found: list[str]) -> None:
    assert names(list_objects(region, "subnet", name=name)) == found


@pytest.mark.parametrize(
    ("kind", "filters", "found"),
    [
        ("subnet", {"fabric": "bmc-fabric"}, ["bmc"]),
        ("subnet", {"vid": 100}, ["storage"]),
        ("subnet", {"dhcp_on": True}, ["pxe"]),
        ("subnet", {"dhcp_on": "true", "space": "undefined"}, ["pxe"]),
        ("vlan", {"fabric": "FABRIC-*"}, ["storage", "untagged"]),
        ("image", {"type": "uploaded"}, ["custom-noble"]),
        ("script", {"type": "release"}, ["wipe-disks"]),
        ("script", {"tags": "gpu"}, []),
        ("device", {"mac_addresses": "52:54:00:11:*"}, None),
    ],
)
def test_objects_are_filtered_by_their_fields(
    region: MaasRegion, kind: str, filters: dict[str, Any], found: list[str] | None
) -> None:
    page = list_objects(region, kind, filters=filters)

    assert names(page) == (found if found is not None else [None])


def test_numbers_in_names_are_sorted_as_numbers(region: MaasRegion) -> None:
    for number in (10, 2, 1):
        region.add_tag(f"rack-{number}")

    assert names(list_objects(region, "tag", name="rack-*")) == ["rack-1", "rack-2", "rack-10"]
    assert names(list_objects(region, "tag", name="rack-*", sort="-name")) == ["rack-10", "rack-2", "rack-1"]


def test_the_pages_have_every_object_once_even_if_some_come_and_go(region: MaasRegion) -> None:
    for number in range(7):
        region.add_tag(f"rack-{number}")
    first = list_objects(region, "tag", name="rack-*", limit=3)
    region.add_tag("rack-0a")
    tags = region.tables["Tag"]
    del tags[tags.get_named("rack-2")["id"]]
    second = list_objects(region, "tag", name="rack-*", limit=3, cursor=first.next_cursor)
    third = list_objects(region, "tag", name="rack-*", limit=3, cursor=second.next_cursor)

    assert names(first) + names(second) + names(third) == [f"rack-{number}" for number in range(7)]
    assert third.next_cursor is None
    assert (first.total, second.total) == (7, 7)


def test_objects_with_the_same_value_are_not_lost_between_pages(region: MaasRegion) -> None:
    found: list[JSON] = []
    cursor = None
    for _ in range(31):
        page = list_objects(region, "script", sort="-type", limit=4, cursor=cursor)
        found += names(page)
        cursor = page.next_cursor
        if cursor is None:
            break

    assert len(found) == len(set(found)) == 31


def test_a_cursor_of_another_list_is_refused(region: MaasRegion) -> None:
    cursor = list_objects(region, "script", limit=1).next_cursor

    with pytest.raises(InvalidArgumentsError, match="belongs to a list with other arguments"):
        list_objects(region, "script", limit=1, cursor=cursor, name="m*")
    with pytest.raises(InvalidArgumentsError, match="not valid here"):
        list_objects(region, "script", cursor="perhaps")


def test_an_unknown_field_is_refused_with_the_known_ones(region: MaasRegion) -> None:
    with pytest.raises(InvalidArgumentsError, match=r"a zone has no field 'colour'\. Expected one of name, id"):
        list_objects(region, "zone", filters={"colour": "blue"})
    with pytest.raises(InvalidArgumentsError, match="`sort`: a subnet has no field 'free'"):
        list_objects(region, "subnet", sort="-free")


@pytest.mark.parametrize("spelling", ["subnets", "Subnet", "resource pools", "VM host", "vm-hosts", "IP ranges"])
def test_a_kind_is_accepted_as_people_write_it(region: MaasRegion, spelling: str) -> None:
    assert list_objects(region, spelling).kind in KINDS


def test_an_unknown_kind_is_refused_with_the_known_ones(region: MaasRegion) -> None:
    with pytest.raises(InvalidArgumentsError, match="expected one of subnet, vlan, fabric"):
        list_objects(region, "machine")


def test_the_details_of_a_subnet_have_its_free_ranges(region: MaasRegion) -> None:
    (item,) = list_objects(region, "subnet", name="pxe", details=True).items

    assert item["free_ranges"][0] == "10.10.0.10 to 10.10.0.76"
    assert item["other_ranges"][0].startswith("10.10.0.1 to 10.10.0.9: ")
    assert item["dns_servers"] == ["10.10.0.254"]


def test_the_details_of_an_image_have_all_versions(region: MaasRegion) -> None:
    (item,) = list_objects(region, "image", name="custom-noble", details=True).items

    assert item["versions"] == {"20260401": "complete"}
    assert (item["version"], item["complete"]) == ("20260401", True)


def test_the_addresses_in_use_show_who_has_them(region: MaasRegion) -> None:
    page = list_objects(region, "ip_address", filters={"subnet": "pxe"}, name="10.10.0.207")

    assert page.items == [
        {
            "ip": "10.10.0.207",
            "type": "automatic",
            "hostname": "node07.maas",
            "system_id": "ywtymp",
            "interface": "eno1",
            "user": "admin",
        }
    ]


@pytest.mark.parametrize(("subnet", "problem"), [(None, "but none is given"), ("nowhere", "no subnet has the name")])
def test_the_addresses_in_use_need_one_subnet(region: MaasRegion, subnet: str | None, problem: str) -> None:
    with pytest.raises(InvalidArgumentsError, match=problem):
        list_objects(region, "ip_address", filters={"subnet": subnet} if subnet else None)


def test_the_services_of_a_rack_controller_are_listed_by_status_with_trouble_first(region: MaasRegion) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        if path == "rackcontrollers/":
            answer[0]["service_set"] = [
                {"name": "http", "status": "running", "status_info": ""},
                {"name": "dhcpd", "status": "dead", "status_info": "exited"},
                {"name": "tftp", "status": "running", "status_info": ""},
            ]
        return answer

    with spoilt(spoil):
        (item,) = list_objects(region, "rack_controller").items

    assert item["services"] == ["dead: dhcpd (exited)", "running: http, tftp"]


def test_an_empty_list_names_the_filters_and_close_names(region: MaasRegion) -> None:
    page = list_objects(region, "subnet", name="pxy", filters={"fabric": "*"})

    assert page.hint == 'None of the 3 subnets matches "name=pxy; fabric=*". Did you mean pxe?'
    assert ListObjects().summary(page).splitlines() == ["0 of 0 subnets", page.hint]


def test_a_plain_user_reads_why_there_are_no_rack_controllers(region: MaasRegion) -> None:
    page = region.call(ListObjects, kind="rack_controller", username="bob")

    assert page.hint == "MAAS shows rack controllers to administrators only, and bob is none."


def test_a_plain_user_reads_why_image_sources_are_not_shown(region: MaasRegion) -> None:
    with pytest.raises(MaasPermissionError, match="does not show its image sources to this user") as refused:
        region.call(ListObjects, kind="image_source", username="bob")

    assert "administrator" in (refused.value.hint or "")


def test_a_kind_that_an_old_region_does_not_have_is_explained(region: MaasRegion) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        if path == "reservedips/":
            error = MaasProtocolError("404", maas_says="Unknown API endpoint: /MAAS/api/2.0/reservedips/.")
            error.status = 404
            raise error
        return answer

    with spoilt(spoil), pytest.raises(MaasNotFoundError, match="no reserved IP addresses") as missing:
        list_objects(region, "reserved_ip")

    assert missing.value.hint == "MAAS has them since version 3.6."


def test_a_subnet_that_was_deleted_meanwhile_stays_incomplete(region: MaasRegion) -> None:
    page = _with_error(region, MaasNotFoundError("MAAS finds nothing."), 404)

    assert [("free" in item) for item in page.items] == [True, False, True]
    assert page.unreadable == ["subnet pxe (1) is incomplete: MAAS finds nothing."]


def test_an_outage_ends_the_requests_for_free_addresses_but_not_the_list(region: MaasRegion) -> None:
    page = _with_error(region, MaasUnavailableError("MAAS does not respond."), None)

    assert names(page) == ["bmc", "pxe", "storage"]
    assert page.unreadable == ["subnet pxe (1) is incomplete: MAAS does not respond."]


def _with_error(region: MaasRegion, error: MaasError, status: int | None) -> ObjectPage:
    error.status = status

    def spoil(path: str, answer: JSON) -> JSON:
        if path == "subnets/1/":
            raise error
        return answer

    with spoilt(spoil):
        return list_objects(region, "subnet")
