"""Reads with a decoder: the same requests, retries and errors as those with the JSON parser, and visible text."""

import json
from typing import Any

import httpx
import pytest

from maas_mcp.errors import MaasNotFoundError, MaasProtocolError, MaasUnavailableError
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.text import parse_json, visible_json
from maas_mcp.testing import Fault, MaasRegion
from tests.house import client_of
from tests.unit.core.maas.fake_region import KEY

HOSTILE = "node\u202e01\x1b[2J"


def count(body: bytes) -> int:
    return len(json.loads(body))


def reject(_body: bytes) -> Any:
    raise ValueError("a secret of the decoder")


@pytest.mark.anyio
class TestGetAs:
    async def test_the_body_goes_to_the_decoder(self) -> None:
        with MaasRegion() as region:
            maas = client_of(region)
            assert await maas.get_as("machines/", count) == 12
            assert await maas.get_as("machines/", count, status="ready") < 12

    async def test_a_rejected_body_is_a_protocol_error_as_bad_json_is(self) -> None:
        with MaasRegion() as region, pytest.raises(MaasProtocolError, match="is not JSON") as caught:
            await client_of(region).get_as("machines/", reject)
        assert "secret" not in f"{caught.value} {caught.value.hint}"

    async def test_an_empty_body_goes_to_the_decoder(self) -> None:
        with MaasRegion() as region:
            region.faults.append(Fault(status=200, body=""))
            with pytest.raises(MaasProtocolError, match="is not JSON"):
                await client_of(region).get_as("machines/", count)

    async def test_any_other_error_of_the_decoder_is_a_protocol_error(self) -> None:
        def fail(_body: bytes) -> Any:
            raise TypeError("a bug")

        with MaasRegion() as region, pytest.raises(MaasProtocolError, match="cannot be read"):
            await client_of(region).get_as("machines/", fail)

    async def test_an_error_of_maas_does_not_reach_the_decoder(self) -> None:
        with MaasRegion() as region, pytest.raises(MaasNotFoundError):
            await client_of(region).get_as("machines/zzzzzz/", reject)

    async def test_it_is_retried_as_other_reads_are(self) -> None:
        with MaasRegion() as region:
            region.faults.append(Fault(status=503))
            assert await client_of(region).get_as("machines/", count) == 12
            region.faults.append(Fault(status=503))
            with pytest.raises(MaasUnavailableError):
                await client_of(region).once().get_as("machines/", count)

    async def test_invisible_characters_become_escapes(self) -> None:
        with MaasRegion() as region:
            region.machine("node01").hostname = HOSTILE
            names = await client_of(region).get_as(
                "machines/", lambda body: [each["hostname"] for each in json.loads(body)]
            )
        assert "node\\u202e01\\u001b[2J" in names

    @pytest.mark.parametrize(("patience", "seconds"), [(None, 60), (600.0, 600)])
    async def test_patience_is_the_limit_for_the_response(self, patience: float | None, seconds: float) -> None:
        limits = []

        async def answer(request: httpx.Request) -> httpx.Response:
            limits.append(request.extensions["timeout"]["read"])
            raise httpx.ReadTimeout("no response")

        region = RegionAccess("http://127.0.0.1/MAAS/api/2.0/", KEY)
        transport = HttpTransport(region, wire=httpx.MockTransport(answer))
        with pytest.raises(MaasUnavailableError):
            await MaasClient(transport).once().get_as("machines/", count, patience=patience)
        assert limits == [seconds]


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf["a"]', b'["\xff"]'])
def test_a_byte_order_mark_and_invalid_bytes_are_no_obstacle(body: bytes) -> None:
    assert json.loads(visible_json(body)) == parse_json(body)
