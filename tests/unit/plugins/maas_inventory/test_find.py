"""Finding anything by name, address or words."""

from collections.abc import Iterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from maas_inventory.search.tool import Find, Found
from maas_mcp.api import MaasPermissionError
from maas_mcp.errors import MaasUnavailableError
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import MaasRegion, RequestRecord
from tests.house import client_of
from tests.odd import answering, spoilt
from tests.unit.plugins.maas_inventory.samples import fill


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with MaasRegion() as region:
        trio.run(fill, client_of(region))
        yield region


def find(region: MaasRegion, text: str) -> dict[str, list[tuple[JSON, str]]]:
    """The hits by kind, each with its id and name."""
    found = region.call(Find, text=text)
    return {each.kind: [(hit.id, str(hit.name)) for hit in each.hits] for each in found.kinds}


def best(region: MaasRegion, text: str) -> tuple[str, JSON]:
    found = region.call(Find, text=text)
    return found.kinds[0].kind, found.kinds[0].hits[0].id


BEST_HITS = (
    ("node07", "machine", "ywtymp"),
    ("NODE07", "machine", "ywtymp"),
    ("node07.maas", "machine", "ywtymp"),
    ("ywtymp", "machine", "ywtymp"),
    ("pxe", "subnet", 1),
    ("10.10.0.0/24", "subnet", 1),
    ("gpu", "tag", "gpu"),
    ("has a GPU", "tag", "gpu"),
    ("az1", "zone", "az1"),
    ("compute", "pool", 1),
    ("bmc-fabric", "fabric", 1),
    ("custom-noble", "image", 8),
    ("www.maas", "dns_record", 1),
    ("hello", "dns_record", 2),
    ("bob", "user", "bob"),
    ("rack01", "rack_controller", "bwdhs4"),
    ("printer", "device", None),
    ("52:54:00:11:22:33", "device", None),
    ("52-54-00-11-22-33", "device", None),
    ("10.10.0.207", "machine", "ywtymp"),
    ("10.10.0.8", "reserved_ip", 1),
    ("10.20.0.99", "subnet", 2),
    ("wipe-disks", "script", 31),
)
"""Texts, each with the kind and the id of its best hit. An id of ``None`` may be any."""


def test_the_best_hit_is_the_object_with_the_name_or_address(region: MaasRegion) -> None:
    async def search() -> list[tuple[str, str, JSON]]:
        async with region.host() as host:
            found = [(text, (await host.call(Find, text=text)).kinds[0]) for text, _, _ in BEST_HITS]
            return [(text, best.kind, best.hits[0].id) for text, best in found]

    hits = trio.run(search, clock=MockClock(autojump_threshold=0))

    assert [
        (text, kind, None if key is None else hit)
        for (text, kind, hit), (_, _, key) in zip(hits, BEST_HITS, strict=True)
    ] == list(BEST_HITS)


def test_the_mac_address_of_a_machine_is_found_in_any_form(region: MaasRegion) -> None:
    machine = region.machine("node03")
    mac = trio.run(_mac_of, region, machine.system_id)

    assert best(region, mac.upper().replace(":", "-")) == ("machine", machine.system_id)


async def _mac_of(region: MaasRegion, system_id: str) -> str:
    machine = await client_of(region).get(f"machines/{system_id}/")
    return str(machine["interface_set"][0]["mac_address"])


def test_an_address_shows_its_user_its_machine_and_what_contains_it(region: MaasRegion) -> None:
    found = region.call(Find, text="10.10.0.207")
    shown = {each.kind: each.hits[0].match for each in found.kinds}

    assert list(shown) == ["machine", "ip_address", "subnet"]
    assert shown["machine"] == "node07.maas, Deployed, owner admin, ip_addresses 10.10.0.207"
    assert shown["ip_address"].endswith("hostname node07.maas, system_id ywtymp, interface eno1, user admin")
    assert shown["subnet"] == "cidr 10.10.0.0/24"


def test_an_address_in_a_range_is_not_confused_with_one_that_begins_alike(region: MaasRegion) -> None:
    assert "machine" not in find(region, "10.10.0.20")
    assert find(region, "10.10.0.150")["ip_range"] == [(2, "10.10.0.100")]


def test_each_kind_has_a_call_that_shows_its_best_hit(region: MaasRegion) -> None:
    for text in ("storage", "node07", "10.10.0.2"):
        for hits in region.call(Find, text=text).kinds:
            arguments: dict[str, Any] = hits.arguments
            if hits.kind == "ip_address":
                arguments = {**arguments, "filters": {"subnet": "pxe"}}
            shown = region.call_tool(hits.tool, **arguments)
            assert not shown.is_error
            assert str(hits.hits[0].id) in str(shown.structured_content)


def test_a_few_hits_of_each_kind_are_shown_with_their_number(region: MaasRegion) -> None:
    found = region.call(Find, text="ubuntu")
    (images,) = [each for each in found.kinds if each.kind == "image"]

    assert (len(images.hits), images.total) == (3, 6)
    assert "image: 3 more" in Find().summary(found)


def test_nothing_is_found_with_a_hint(region: MaasRegion) -> None:
    found = region.call(Find, text="no such thing")

    assert found.kinds == []
    assert found.hint is not None


@pytest.mark.parametrize("text", ["node07", "10.10.0.207", "pxe", "52:54:00:11:22:33"])
def test_once_all_machines_are_known_a_search_reads_only_the_lists_that_can_have_the_text(
    region: MaasRegion, text: str
) -> None:
    async def search_twice() -> list[str]:
        async with region.host() as host:
            await host.call(Find, text=text)
            await trio.sleep(5)  # the informer looks for machines that came meanwhile
            before = len(region.requests)
            await host.call(Find, text=text)
            return [str(each.template) for each in region.requests[before:] if not is_upkeep(each)]

    def is_upkeep(request: RequestRecord) -> bool:
        """Whether the request keeps the known machines up to date, which happens between the searches or later."""
        return request.template == "events/" or bool({"id", "not_id"} & request.query.keys())

    sent = trio.run(search_twice, clock=MockClock(autojump_threshold=0))

    assert len(sent) == len(set(sent)) <= 14
    assert "machines/" not in sent


@pytest.mark.parametrize(
    ("text", "field", "number"),
    [("kvm-capable", "tag_names", 7), ("admin", "owner", 4), ("GPU in row 7", "description", 1)],
)
def test_machines_are_found_by_tag_owner_and_description(
    region: MaasRegion, text: str, field: str, number: int
) -> None:
    region.machine("node03").description = "The GPU in row 7"
    found = {each.kind: each for each in region.call(Find, text=text).kinds}

    assert found["machine"].total == number
    assert field in found["machine"].hits[0].match


def test_machines_that_are_not_known_yet_are_not_silently_missing(region: MaasRegion) -> None:
    region.hold(op="machines", before=60.0)
    found = region.call(Find, text="pxe")

    assert found.kinds[0].kind == "subnet"
    assert found.unsearched == ["machines: only 0 are known so far; repeat the search later"]


def test_a_kind_that_cannot_be_read_is_named_and_hides_no_other(region: MaasRegion) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        if path == "vm-hosts/":
            raise MaasPermissionError("MAAS does not allow GET vm-hosts/ (403).")
        return None if path == "users/" else answer

    with spoilt(spoil):
        found = region.call(Find, text="pxe")

    assert found.kinds[0].kind == "subnet"
    assert [each.partition(":")[0] for each in sorted(found.unsearched)] == ["VM hosts", "users"]


def test_an_outage_is_an_error_and_not_an_empty_result(region: MaasRegion) -> None:
    def fail(path: str) -> JSON:
        raise MaasUnavailableError(f"MAAS does not respond to {path}.")

    with answering(fail), pytest.raises(MaasUnavailableError):
        find(region, "pxe")


def test_an_odd_subnet_hides_no_other(region: MaasRegion) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        return [{**answer[1], "name": None, "cidr": [1], "vlan": "x"}, *answer] if path == "subnets/" else answer

    with spoilt(spoil):
        found: Found = region.call(Find, text="pxe")

    (subnets,) = [each for each in found.kinds if each.kind == "subnet"]
    assert 1 in [hit.id for hit in subnets.hits]
