"""Storage layouts of machines."""

import pytest

from maas_configure.storage import SetStorageLayout
from maas_mcp.api import MaasError, OperationRefusedError
from tests.house import House

pytestmark = pytest.mark.anyio


async def test_a_layout_replaces_the_filesystems(house: House) -> None:
    result = await house.call(SetStorageLayout, "node01", storage_layout="lvm", root_device="sda")

    mounted = {each.mount_point: each.path for each in result.filesystems if each.mount_point}
    assert mounted == {"/": "vgroot-lvroot"}
    assert 'vgroot-lvroot (ext4) at "/"' in SetStorageLayout().summary(result)
    assert house.posted == [("set_storage_layout", {"storage_layout": ["lvm"], "root_device": ["10"]})]


async def test_a_blank_layout_is_not_set_twice(house: House) -> None:
    first = await house.call(SetStorageLayout, "node01", storage_layout="blank")
    second = await house.call(SetStorageLayout, "node01", storage_layout="blank")

    assert (first.sent, first.filesystems, second.sent) == (True, [], False)
    assert house.posts == 1


async def test_a_layout_can_be_set_again_because_maas_does_not_show_which_one_a_machine_has(house: House) -> None:
    assert (await house.call(SetStorageLayout, "node01", storage_layout="flat")).sent
    assert (await house.call(SetStorageLayout, "node01", storage_layout="flat")).sent


@pytest.mark.parametrize("name", ["node06", "node07", "node10"])
async def test_only_a_ready_machine_gets_another_layout(house: House, name: str) -> None:
    with pytest.raises(OperationRefusedError, match="to get another storage layout it has to be one of: Ready"):
        await house.call(SetStorageLayout, name, storage_layout="flat")

    assert house.posts == 0


async def test_an_unknown_disk_is_refused_with_the_known_ones(house: House) -> None:
    with pytest.raises(OperationRefusedError, match=r"has no disk sdz\. Expected one of: sda"):
        await house.call(SetStorageLayout, "node01", storage_layout="flat", root_device="sdz")

    assert house.posts == 0


async def test_an_error_of_maas_is_passed_on(house: House) -> None:
    with pytest.raises(MaasError, match="501"):
        await house.call(SetStorageLayout, "node01", storage_layout="vmfs7")
