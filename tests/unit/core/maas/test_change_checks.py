"""The checks of a MAAS client, which see each change before it is sent."""

import pytest

from maas_mcp.errors import MaasPermissionError
from maas_mcp.maas.change_request import ChangeRequest
from maas_mcp.maas.client import MaasClient
from tests.unit.core.maas.test_client import Script

pytestmark = pytest.mark.anyio

DEPLOY = ChangeRequest("POST", "machines/4y3h7n/", "deploy", (("osystem", "ubuntu"), ("tags", "a"), ("tags", "b")))


async def test_a_check_sees_the_request_as_maas_receives_it() -> None:
    seen: list[ChangeRequest] = []

    async def check(change: ChangeRequest) -> None:
        seen.append(change)

    script = Script({})
    maas = MaasClient(script).before_change(check)
    await maas.post_op("machines/4y3h7n/", "deploy", osystem="ubuntu", tags=["a", "b"], erase=None)
    await maas.put("machines/4y3h7n/", description="rack 4")
    await maas.post("tags/", name="gpu")
    await maas.delete("machines/4y3h7n/", force=True)
    await maas.get("machines/4y3h7n/")
    assert seen == [
        DEPLOY,
        ChangeRequest("PUT", "machines/4y3h7n/", None, (("description", "rack 4"),)),
        ChangeRequest("POST", "tags/", None, (("name", "gpu"),)),
        ChangeRequest("DELETE", "machines/4y3h7n/", None, (("force", "true"),)),
    ]
    assert len(script.asked) == 5


async def test_the_last_check_sees_only_requests_that_all_others_allow() -> None:
    seen: list[str] = []

    async def last(change: ChangeRequest) -> None:
        seen.append(f"last {change.path}")

    async def refuse(change: ChangeRequest) -> None:
        seen.append(f"checked {change.path}")
        if change.path == "machines/prot3c/":
            raise MaasPermissionError("It is protected.")

    script = Script({})
    maas = MaasClient(script).before_change(last, last=True).before_change(refuse)
    await maas.put("machines/4y3h7n/")
    with pytest.raises(MaasPermissionError):
        await maas.put("machines/prot3c/")
    assert seen == ["checked machines/4y3h7n/", "last machines/4y3h7n/", "checked machines/prot3c/"]
    assert len(script.asked) == 1


async def test_the_values_of_a_request_are_not_shown_in_its_text() -> None:
    assert "ubuntu" not in repr(DEPLOY)
