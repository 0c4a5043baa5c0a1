"""Pages of lists with ten thousand objects: each is small enough for a model's context, and together they have all."""

import pytest

from maas_inventory.objects.catalogue import KINDS
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import MaasRegion
from tests.odd import answering, spoilt
from tests.pages import check_page
from tests.unit.plugins.maas_inventory.samples import many, with_many

LISTED = [name for name, kind in KINDS.items() if kind.path]


@pytest.mark.parametrize("kind", LISTED)
def test_a_page_of_ten_thousand_objects_is_small(kind: str) -> None:
    with MaasRegion() as region, answering(with_many(kind, 10_000)):
        page = check_page(region.call_tool("maas_list_objects", kind=kind, limit=200))

    assert page["total"] == 10_000
    assert page["next_cursor"]
    assert len(page["items"]) >= 10


@pytest.mark.parametrize("kind", ["tag", "subnet", "dns_record"])
def test_all_pages_together_have_every_object_once(kind: str) -> None:
    key, seen, arguments = KINDS[kind].row.identity, [], {"kind": kind, "limit": 200}
    with MaasRegion() as region, answering(with_many(kind, 300)):
        for _ in range(100):
            page = check_page(region.call_tool("maas_list_objects", **arguments))
            seen += [item[key] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            arguments["cursor"] = page["next_cursor"]

    assert len(seen) == len(set(seen)) == 300


def test_the_addresses_of_a_full_subnet_have_small_pages() -> None:
    def spoil(path: str, real: JSON) -> JSON:
        is_list = path == "subnets/1/" and isinstance(real, list)
        return [{**real[1], "ip": f"10.10.{each // 250}.{each % 250}"} for each in range(10_000)] if is_list else real

    with MaasRegion() as region, spoilt(spoil):
        page = check_page(region.call_tool("maas_list_objects", kind="ip_address", filters={"subnet": "pxe"}))

    assert page["total"] == 10_000
    assert len(page["items"]) > 20


def test_the_result_of_a_search_is_small_however_many_objects_match() -> None:
    lists = {"tags/": many("tag", 10_000), "subnets/": many("subnet", 2_000), "zones/": many("zone", 2_000)}
    with MaasRegion() as region, answering(lambda path: lists.get(path, NotImplemented)):
        found = check_page(region.call_tool("maas_find", text="rack"))

    assert {each["kind"]: each["total"] for each in found["kinds"]}["tag"] == 10_000
