"""Pages of lists: each is small enough for a model's context. ``tests/properties`` has lists of ten thousand."""

from collections.abc import Iterator
from typing import Any

import pytest

from maas_inventory.objects.catalogue import KINDS
from maas_mcp.testing import MaasRegion
from tests.odd import answering
from tests.pages import check_page
from tests.unit.plugins.maas_inventory.samples import with_many

LISTED = [name for name, kind in KINDS.items() if kind.path]


@pytest.fixture(scope="module")
def region() -> Iterator[MaasRegion]:
    """A region for all tests: they replace its answers, and change nothing."""
    with MaasRegion() as region:
        yield region


@pytest.mark.parametrize("kind", LISTED)
@pytest.mark.parametrize("arguments", [{"details": True}, {"sort": "-name"}])
def test_a_page_is_small_in_any_order_and_with_details(
    region: MaasRegion, kind: str, arguments: dict[str, Any]
) -> None:
    if "name" not in KINDS[kind].row.model_fields and "sort" in arguments:
        arguments = {"sort": f"-{KINDS[kind].row.identity}"}
    with answering(with_many(kind, 150)):
        page = check_page(region.call_tool("maas_list_objects", kind=kind, limit=200, **arguments))

    assert page["total"] == 150
