"""Who the caller is in MAAS, and what MAAS and the site allow."""

from collections.abc import Iterator

import pytest

from maas_inventory.whoami import WhoAmI
from maas_mcp.testing import MaasRegion


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with MaasRegion() as region:
        yield region


def test_an_administrator_sees_the_user_the_version_and_the_pools(region: MaasRegion) -> None:
    me = region.call(WhoAmI)

    assert (me.username, me.administrator, me.region_version) == ("admin", True, "3.7.3")
    assert me.pools == ["compute", "default", "storage"]
    assert me.protected == {"tags": ["protected"]}
    assert WhoAmI().summary(me).startswith("You are admin, a MAAS administrator, on MAAS 3.7.3.\n")


def test_a_plain_user_is_no_administrator(region: MaasRegion) -> None:
    me = region.call(WhoAmI, username="bob")

    assert (me.username, me.administrator) == ("bob", False)
    assert "without administrator rights" in WhoAmI().summary(me)


def test_the_policy_of_the_site_is_shown(region: MaasRegion) -> None:
    me = region.call(WhoAmI, answers={})

    assert (me.mode, me.operate, me.destroy) == ("standard", "allow", "confirm")
    assert "allowed after the user has confirmed" in WhoAmI().summary(me)


@pytest.mark.parametrize(
    ("tool", "verdict"),
    [("maas_list_machines", "maas_list_machines can be used."), ("maas_fly", "There is no tool maas_fly.")],
)
def test_a_tool_is_judged_on_request(region: MaasRegion, tool: str, verdict: str) -> None:
    me = region.call_tool("maas_whoami", tool=tool).structured_content

    assert me is not None
    assert me["tool"].replace('"', "") == verdict
