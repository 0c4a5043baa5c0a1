"""Parameters that are rejected before sending because of the region's version."""

import json
from collections.abc import AsyncIterator

import pytest

from maas_mcp.errors import InvalidArgumentsError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.versions import PARAMETERS, check_parameters, parse_release
from maas_simulator import Fault, SimulatedRegion, demo_region
from tests.house import client_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def region() -> SimulatedRegion:
    return demo_region()


@pytest.fixture
async def maas(region: SimulatedRegion) -> AsyncIterator[MaasClient]:
    client = client_of(region)
    yield client
    await client.aclose()


def set_version(region: SimulatedRegion, version: str) -> None:
    body = json.dumps({"capabilities": [], "version": version, "subversion": ""})
    region.faults.append(Fault(path="version/", status=200, body=body))


@pytest.mark.parametrize(
    ("text", "release"),
    [("3.7.3", (3, 7)), ("3.8.0a1", (3, 8)), ("3.10.0~rc1", (3, 10)), ("4.0", (4, 0)), ("snapshot", None), ("", None)],
)
def test_only_major_and_minor_of_a_version_are_read(text: str, release: tuple[int, int] | None) -> None:
    assert parse_release(text) == release


@pytest.mark.parametrize(
    ("version", "op", "parameter"),
    [
        ("3.5.13", "deploy", "enable_kernel_crash_dump"),
        ("3.6.0", "deploy", "install_rackd"),
        ("3.8.0a1", "deploy", "install_kvm"),
        ("3.9.0", "deploy", "register_vmhost"),
        ("3.4.10", "release", "scripts"),
    ],
)
async def test_an_unsupported_parameter_is_rejected_by_name(
    region: SimulatedRegion, maas: MaasClient, version: str, op: str, parameter: str
) -> None:
    set_version(region, version)

    with pytest.raises(InvalidArgumentsError, match=f"runs MAAS {version}, whose {op} does not accept `{parameter}`"):
        await check_parameters(maas, op, ["comment", parameter])


@pytest.mark.parametrize(
    ("version", "op", "parameter"),
    [
        ("3.6.0", "deploy", "enable_kernel_crash_dump"),
        ("3.5.13", "deploy", "install_rackd"),
        ("3.7.3", "deploy", "install_kvm"),
        ("3.5.0", "release", "scripts"),
        ("12.0", "release", "scripts"),
        ("unreadable", "deploy", "install_rackd"),
    ],
)
async def test_a_supported_parameter_passes_and_an_unreadable_version_allows_all(
    region: SimulatedRegion, maas: MaasClient, version: str, op: str, parameter: str
) -> None:
    set_version(region, version)

    await check_parameters(maas, op, [parameter])


async def test_the_error_names_the_versions_with_the_parameter(region: SimulatedRegion, maas: MaasClient) -> None:
    set_version(region, "3.3.11")

    with pytest.raises(InvalidArgumentsError, match=r"`enable_kernel_crash_dump` \(only in MAAS since 3\.6\)"):
        await check_parameters(maas, "deploy", ["enable_kernel_crash_dump"])


async def test_the_version_is_read_once_and_only_if_needed(region: SimulatedRegion, maas: MaasClient) -> None:
    await check_parameters(maas, "deploy", ["distro_series", "comment"])
    assert region.requests == []

    await check_parameters(maas, "deploy", ["install_kvm"])
    await check_parameters(maas, "release", ["scripts"])
    assert len(region.requests) == 1


def test_every_parameter_has_a_release() -> None:
    assert all(known.since is None or known.until is None or known.since < known.until for known in PARAMETERS.values())
