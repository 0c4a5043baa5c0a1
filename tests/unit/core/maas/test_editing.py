"""Creating, editing and deleting MAAS objects on an in-process simulated region."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from maas_mcp.errors import MaasBadRequestError, MaasNotFoundError, MaasPermissionError, MaasUnavailableError
from maas_mcp.maas.client import MaasClient
from maas_simulator import Fault, SimulatedRegion, demo_region
from tests.house import client_of

pytestmark = pytest.mark.anyio

NODE01 = "machines/7xneda/"


@pytest.fixture
def region() -> SimulatedRegion:
    return demo_region()


@pytest.fixture
async def maas(region: SimulatedRegion) -> AsyncIterator[MaasClient]:
    maas = client_of(region)
    yield maas
    await maas.aclose()


async def test_editing_a_machine_returns_the_changed_machine(maas: MaasClient) -> None:
    response = await maas.put(NODE01, description="spare", zone="az2")

    assert (response["description"], response["zone"]["name"]) == ("spare", "az2")
    assert (await maas.machine("7xneda")).description == "spare"


async def test_a_tag_is_created(maas: MaasClient) -> None:
    assert (await maas.post("tags/", name="spare", comment="not in use"))["name"] == "spare"
    assert "spare" in [tag["name"] for tag in await maas.get("tags/")]


async def test_deleting_a_machine_returns_nothing(maas: MaasClient) -> None:
    await maas.delete(NODE01)

    with pytest.raises(MaasNotFoundError):
        await maas.machine("7xneda")


async def test_a_change_is_a_form_with_booleans_as_true_or_false_and_without_none(
    maas: MaasClient, region: SimulatedRegion
) -> None:
    await maas.put(NODE01, description="spare", force=False, pool=None)
    await maas.post("tags/", name="spare", kept=True, comment=None)

    put, post = region.requests
    assert (put.method, put.op, put.form) == ("PUT", None, {"description": ["spare"], "force": ["false"]})
    assert (post.method, post.op, post.form) == ("POST", None, {"name": ["spare"], "kept": ["true"]})


async def test_options_of_a_deletion_are_sent_in_the_query(maas: MaasClient, region: SimulatedRegion) -> None:
    await maas.delete(NODE01, force=True, comment=None)

    assert (region.requests[0].method, region.requests[0].query) == ("DELETE", {"force": ["true"]})
    assert region.requests[0].form == {}


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda maas: maas.put(NODE01, description="spare"),
        lambda maas: maas.post("tags/", name="spare"),
        lambda maas: maas.delete(NODE01),
    ],
    ids=["put", "post", "delete"],
)
async def test_a_change_whose_response_is_lost_is_not_sent_again(
    maas: MaasClient, region: SimulatedRegion, change: Callable[[MaasClient], Awaitable[object]], *, acts: bool
) -> None:
    region.faults.append(Fault(status=504, body="<html>", acts=acts))

    with pytest.raises(MaasUnavailableError) as lost:
        await change(maas)

    assert lost.value.may_have_acted
    assert len(region.requests) == 1


async def test_an_error_about_a_wrong_value_names_its_field(maas: MaasClient) -> None:
    with pytest.raises(MaasBadRequestError) as refusal:
        await maas.put(NODE01, pool="nopool")
    assert set(refusal.value.fields) == {"pool"}


async def test_other_users_may_not_make_an_administrators_changes(region: SimulatedRegion) -> None:
    with pytest.raises(MaasPermissionError):
        await client_of(region, "bob").post("tags/", name="spare")
