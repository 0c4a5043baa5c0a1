"""The keys of an issuer: fetched rarely, shared, and used for a while when the issuer does not answer."""

import base64
from dataclasses import replace

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.access.issuer import IssuerError, ReadLimits, read_keys
from maas_mcp.access.issuer_keys import TIMES, IssuerKeys, KeysUnavailableError
from maas_mcp.access.key_sets import KeySet
from tests.issuer import Fault, Issuer, jwk, new_key
from tests.unit.core.access.conftest import LIMITS, Clock

pytestmark = pytest.mark.anyio

GOOD = jwk(new_key("ES512"), kid="good")


async def settle(keys: IssuerKeys) -> None:
    """Wait for a fetch in the background."""
    running = keys._running
    if running is not None:
        await running.wait()


async def test_the_keys_are_fetched_once_for_all_concurrent_requests(issuer: Issuer, keys: IssuerKeys) -> None:
    found = []

    async def find() -> None:
        found.append(await keys.find("first", "ES256"))

    async with anyio.create_task_group() as requests:
        for _ in range(50):
            requests.start_soon(find)

    assert None not in found
    assert len(found) == 50
    assert issuer.key_requests == 1


async def test_unknown_key_ids_cause_at_most_one_fetch_in_each_cooldown(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    for number in range(100):
        assert await keys.find(f"made-up-{number}", "ES256") is None
    assert issuer.key_requests == 1

    clock.now += TIMES.cooldown
    for number in range(100):
        assert await keys.find(f"made-up-{number}", "ES256") is None
    assert issuer.key_requests == 2


async def test_a_new_key_of_the_issuer_is_found_after_the_cooldown(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    assert await keys.find("first", "ES256") is not None
    issuer.keys["second"] = new_key()
    assert await keys.find("second", "ES256") is None

    clock.now += TIMES.cooldown

    assert await keys.find("second", "ES256") is not None


async def test_old_keys_are_used_while_newer_ones_are_fetched(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    assert await keys.find("first", "ES256") is not None
    issuer.fault = "silent"
    clock.now += TIMES.fresh

    assert await keys.find("first", "ES256") is not None

    assert keys._running is not None, "the issuer has not answered yet"


async def test_a_withdrawn_key_is_refused_once_the_keys_are_refreshed(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    assert await keys.find("first", "ES256") is not None
    issuer.keys = {"second": new_key()}
    clock.now += TIMES.fresh

    assert await keys.find("first", "ES256") is not None, "this request starts the refresh"
    await settle(keys)

    assert await keys.find("first", "ES256") is None


async def test_keys_stay_valid_for_a_day_while_the_issuer_is_down(
    issuer: Issuer, keys: IssuerKeys, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert await keys.find("first", "ES256") is not None
    issuer.fault = "down"

    clock.now += TIMES.stale - 1
    assert await keys.find("first", "ES256") is not None
    await settle(keys)
    assert "status 503" in caplog.text

    clock.now += TIMES.cooldown
    with pytest.raises(KeysUnavailableError):
        await keys.find("first", "ES256")

    issuer.fault = None
    clock.now += TIMES.cooldown
    assert await keys.find("first", "ES256") is not None


async def test_an_issuer_that_is_down_at_first_is_asked_again_after_the_cooldown(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    issuer.fault = "down"
    for _ in range(20):
        with pytest.raises(KeysUnavailableError):
            await keys.find("first", "ES256")
    assert len(issuer.requests) == 2, "the two forms of metadata, once each"

    issuer.fault = None
    clock.now += TIMES.cooldown

    assert await keys.find("first", "ES256") is not None


async def test_a_request_that_is_cancelled_does_not_cancel_the_fetch_for_others(
    issuer: Issuer, keys: IssuerKeys
) -> None:
    with anyio.CancelScope() as request:
        request.cancel()
        await keys.find("first", "ES256")

    assert await keys.find("first", "ES256") is not None
    assert issuer.key_requests == 1


async def test_a_fault_while_reading_keys_does_not_end_the_server() -> None:
    async def fetch() -> KeySet:
        raise RuntimeError("unforeseen")

    async with anyio.create_task_group() as tasks:
        keys = IssuerKeys(fetch, tasks)
        with pytest.raises(KeysUnavailableError):
            await keys.find("first", "ES256")


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("down", "status 503"),
        ("silent", "did not answer within 1 s"),
        ("endless", "more than 100,000 bytes"),
        ("huge", "more than 100,000 bytes"),
        ("not JSON", "did not return a JSON object"),
        ("no keys", "no key for any of the accepted algorithms"),
        ("redirect", "status 302"),
        ("other issuer", "the metadata of another issuer"),
        ("unsafe keys", "no https URL as jwks_uri"),
    ],
)
async def test_each_failure_of_an_issuer_ends_in_time_with_its_reason(
    issuer: Issuer, fault: Fault, problem: str
) -> None:
    issuer.fault = fault
    limits = replace(LIMITS, seconds=1.0) if fault == "silent" else LIMITS

    with pytest.raises(IssuerError, match=problem):
        await read_keys(issuer.url, None, limits)


async def test_an_issuer_that_nobody_serves_is_reported() -> None:
    with pytest.raises(IssuerError, match="cannot be reached"):
        await read_keys("http://127.0.0.1:1/realms/lab", None, ReadLimits(seconds=5))


async def test_metadata_of_openid_connect_is_enough(issuer: Issuer) -> None:
    issuer.openid_only = True

    assert (await read_keys(issuer.url)).find("first", "ES256") is not None


class TestKeySets:
    def test_a_key_verifies_only_the_algorithm_that_it_is_for(self) -> None:
        keys = KeySet({"keys": [jwk(new_key("RS256"), kid="a", alg="PS256"), jwk(new_key("ES384"), kid="b")]})

        assert keys.find("a", "PS256") is not None
        assert keys.find("a", "RS256") is None
        assert keys.find("b", "ES384") is not None
        assert keys.find("b", "ES256") is None

    @pytest.mark.parametrize("parameters", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"kid": 7}, {"x": "AA"}])
    def test_a_key_that_is_not_for_signatures_is_ignored(self, parameters: dict[str, object]) -> None:
        with pytest.raises(ValueError, match="no key for any"):
            KeySet({"keys": [jwk(new_key(), **{"kid": "a", **parameters})]})

    def test_a_symmetric_or_a_weak_key_is_ignored(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - a weak key, made for this test only

        weak = jwk(rsa.generate_private_key(65537, 1024), kid="weak")
        keys = KeySet({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}, weak, jwk(new_key(), kid="a"), 7]})

        assert keys.find("oct", "HS256") is None
        assert keys.find("weak", "RS256") is None
        assert keys.find("a", "ES256") is not None

    def test_a_token_without_a_key_id_needs_a_single_key(self) -> None:
        one = [jwk(new_key(), kid="a")]
        assert KeySet({"keys": one}).find(None, "ES256") is not None
        assert KeySet({"keys": [*one, jwk(new_key(), kid="b")]}).find(None, "ES256") is None

    def test_two_keys_with_the_same_id_are_ambiguous(self) -> None:
        assert KeySet({"keys": [jwk(new_key(), kid="a"), jwk(new_key(), kid="a")]}).find("a", "ES256") is None

    @given(
        st.dictionaries(
            st.sampled_from(["kty", "kid", "crv", "x", "y", "n", "e", "alg", "use", "key_ops"]),
            st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "sig", "ES256", "RS256", "", "é", "=" * 5])
            | st.text(max_size=8)
            | st.integers()
            | st.none()
            | st.lists(st.text(max_size=3), max_size=2)
            | st.binary(min_size=32, max_size=32).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
        )
    )
    def test_no_key_of_an_issuer_makes_a_key_set_fail(self, odd: dict[str, object]) -> None:
        assert KeySet({"keys": [odd, GOOD]}).find("good", "ES512") is not None

    @pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": []}, {"keys": [{"kty": "EC"}] * 101}])
    def test_a_document_that_is_no_key_set_is_refused(self, document: object) -> None:
        with pytest.raises(ValueError, match=r"it (is not|has no)"):
            KeySet(document)
