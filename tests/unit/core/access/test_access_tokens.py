"""Access tokens: accepted only from a configured issuer, for this server, within their time."""

import logging
import re
import time
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.access.access_tokens import LEEWAY, AccessTokens, granted_scopes
from maas_mcp.access.callers import KeyOwner
from maas_mcp.access.issuer import read_keys
from maas_mcp.access.issuer_keys import IssuerKeys
from maas_mcp.access.key_sets import ALGORITHMS
from maas_mcp.calls.principal import Scope
from tests.issuer import Issuer, confused, encoded, issuing, jwk, new_key, unsigned

pytestmark = pytest.mark.anyio

PUBLISHED = jwk(new_key(), kid="first")


async def test_a_token_names_its_issuer_and_subject_and_grants_its_scopes(issuer: Issuer, tokens: AccessTokens) -> None:
    caller = await tokens.verify(issuer.token())

    assert caller is not None
    assert caller.name == f"{issuer.url} f81d4fae"
    assert caller.owner == KeyOwner("f81d4fae", issuer.url)
    assert caller.scopes == {Scope.DESTROY}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_accepted_algorithm_is_verified(algorithm: str) -> None:
    with issuing(algorithm=algorithm) as issuer:
        async with anyio.create_task_group() as tasks:
            tokens = AccessTokens({issuer.url: IssuerKeys(partial(read_keys, issuer.url), tasks)}, [issuer.audience])
            assert await tokens.verify(issuer.token()) is not None
            signed, _, signature = issuer.token().rpartition(".")
            assert await tokens.verify(f"{signed}.{signature[::-1]}") is None
            assert await tokens.verify(issuer.token(key=new_key(algorithm))) is None
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example.com"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "https://another.example.com/mcp"}, "[Aa]udience"),
        ({"aud": ["https://a.example.com", "https://b.example.com"]}, "[Aa]udience"),
        ({"aud": None}, "aud"),
        ({"exp": int(time.time()) - 60 - int(LEEWAY)}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "[Ee]xpiration"),
        ({"nbf": int(time.time()) + 600}, "not yet valid"),
        ({"iat": int(time.time()) + 600}, "not yet valid"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "name of at most"),
        ({"sub": "x" * 256}, "name of at most"),
        ({"sub": "alice\nadmin"}, "name of at most"),
        ({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, "cnf"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_not_accepted_and_the_log_says_why(
    issuer: Issuer,
    tokens: AccessTokens,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    reason: str,
) -> None:
    caplog.set_level(logging.INFO)
    token = issuer.token(**changes)

    assert await tokens.verify(token) is None

    [record] = [each for each in caplog.records if each.name.startswith("maas_mcp")]
    assert re.search(reason, record.getMessage()), record.getMessage()
    assert token not in record.getMessage()


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -5), ("nbf", 5)])
async def test_clocks_may_differ_by_a_few_seconds(
    issuer: Issuer, tokens: AccessTokens, claim: str, seconds: int
) -> None:
    changes: dict[str, Any] = {claim: int(time.time()) + seconds}

    assert await tokens.verify(issuer.token(**changes)) is not None


async def test_one_of_several_audiences_is_enough(issuer: Issuer, tokens: AccessTokens) -> None:
    assert await tokens.verify(issuer.token(aud=["account", issuer.audience])) is not None


async def test_a_token_as_keycloak_makes_it_is_accepted(issuer: Issuer, tokens: AccessTokens) -> None:
    """It has the type of any JSON Web Token, several audiences, and claims that mean nothing here."""
    own: dict[str, Any] = {
        "typ": "Bearer",
        "azp": "maas-mcp-clients",
        "realm_access": {"roles": ["maas-operator"]},
        "acr": "1",
    }
    token = issuer.token(header={"typ": "JWT"}, aud=[issuer.audience, "account"], jti="onrtac:7", **own)

    caller = await tokens.verify(token)

    assert caller is not None
    assert caller.scopes == {Scope.DESTROY}


class TestForgeries:
    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256", "ES256K", "RS1", "dir"])
    async def test_a_token_without_a_signature_is_not_accepted(
        self, issuer: Issuer, tokens: AccessTokens, algorithm: str
    ) -> None:
        assert await tokens.verify(unsigned(issuer.claims(), algorithm=algorithm)) is None
        assert issuer.requests == [], "such a token causes no request"

    async def test_a_public_key_is_not_the_secret_of_a_symmetric_signature(
        self, issuer: Issuer, tokens: AccessTokens
    ) -> None:
        assert await tokens.verify(confused(issuer.keys["first"], issuer.claims(), "first")) is None

    async def test_a_key_that_the_token_brings_along_is_not_used(self, issuer: Issuer, tokens: AccessTokens) -> None:
        own = new_key()
        header = {"jwk": jwk(own, kid="first"), "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/keys"}

        assert await tokens.verify(issuer.token(key=own, header=header)) is None

    async def test_a_changed_claim_breaks_the_signature(self, issuer: Issuer, tokens: AccessTokens) -> None:
        head, _, signature = issuer.token().split(".")

        assert await tokens.verify(f"{head}.{encoded(issuer.claims(sub='admin'))}.{signature}") is None

    @pytest.mark.parametrize(
        "header", [{"typ": "logout+jwt"}, {"typ": "dpop+jwt"}, {"crit": ["b64"], "b64": True}, {"crit": ["x"], "x": 1}]
    )
    async def test_another_kind_of_token_is_not_accepted(
        self, issuer: Issuer, tokens: AccessTokens, header: dict[str, Any]
    ) -> None:
        assert await tokens.verify(issuer.token(header=header)) is None

    @pytest.mark.parametrize(
        "token",
        [
            "",
            ".",
            "..",
            "a.b.c",
            "....",
            "\ud800.a.b",
            f"{encoded([])}.{encoded({})}.",
            f"{encoded({'alg': 'ES256', 'kid': 7})}.{encoded({})}.",
            f"{encoded({'alg': ['ES256']})}.{encoded({})}.",
            f"{encoded(b'[' * 4000)}.{encoded({})}.",
            f"{encoded({'alg': 'ES256'})}.{encoded(b'[' * 4000)}.",
            f"{encoded({'alg': 'ES256'})}.{encoded([])}.",
        ],
    )
    async def test_text_that_is_no_token_is_not_accepted(self, tokens: AccessTokens, token: str) -> None:
        assert await tokens.verify(token) is None

    @pytest.mark.parametrize("claim", ["exp", "nbf", "iat", "aud", "sub", "scope"])
    @pytest.mark.parametrize("value", [[], {}, True, -1, 1e400, "x"])
    async def test_no_signed_claim_of_a_wrong_type_raises(
        self, issuer: Issuer, tokens: AccessTokens, claim: str, value: object
    ) -> None:
        changes: dict[str, Any] = {claim: value}
        caller = await tokens.verify(issuer.token(**changes))

        assert caller is None or claim in {"nbf", "iat", "sub", "scope"}


async def test_two_issuers_subjects_with_the_same_name_are_two_principals(issuer: Issuer, keys: IssuerKeys) -> None:
    with issuing("realms/other") as other:
        async with anyio.create_task_group() as tasks:
            others = IssuerKeys(partial(read_keys, other.url), tasks)
            tokens = AccessTokens({issuer.url: keys, other.url: others}, [issuer.audience])
            first, second = await tokens.verify(issuer.token()), await tokens.verify(other.token())
            assert first is not None
            assert second is not None
            assert first.name != second.name
            assert first.owner != second.owner
            forged = other.token(iss=issuer.url)
            assert await tokens.verify(forged) is None, "an issuer cannot sign for another one"
            tasks.cancel_scope.cancel()


@pytest.fixture
def by_email(issuer: Issuer, keys: IssuerKeys) -> AccessTokens:
    return AccessTokens({issuer.url: keys}, [issuer.audience], claim="email")


async def test_another_claim_finds_the_key_and_the_subject_remains_the_principal(
    issuer: Issuer, by_email: AccessTokens
) -> None:
    caller = await by_email.verify(issuer.token(email="alice@example.com", email_verified=True))

    assert caller is not None
    assert caller.name == f"{issuer.url} f81d4fae"
    assert caller.owner == KeyOwner("alice@example.com", issuer.url)
    assert await by_email.verify(issuer.token()) is None, "the claim is missing"


@pytest.mark.parametrize("verified", [None, False, "true", 1])
async def test_an_email_address_that_is_not_verified_finds_no_key(
    issuer: Issuer, by_email: AccessTokens, verified: object
) -> None:
    changes: dict[str, Any] = {"email": "alice@example.com", "email_verified": verified}

    assert await by_email.verify(issuer.token(**changes)) is None


@pytest.mark.parametrize(
    ("claims", "granted"),
    [
        ({"scope": "openid maas:read profile"}, {Scope.READ}),
        ({"scp": ["maas:operate", "x", 7]}, {Scope.OPERATE}),
        ({"scp": "maas:read maas:destroy"}, {Scope.READ, Scope.DESTROY}),
        ({"scope": "maas:read", "scp": ["maas:operate"]}, {Scope.READ, Scope.OPERATE}),
        ({"scope": "maas:destroyer MAAS:READ maas:"}, set()),
        ({"scope": {"maas:destroy": True}}, set()),
        ({}, set()),
    ],
)
def test_scopes_come_from_either_claim_and_unknown_ones_grant_nothing(
    claims: dict[str, Any], granted: set[Scope]
) -> None:
    assert granted_scopes(claims) == granted


@given(
    first=st.tuples(st.from_regex(r"https://[a-z]{1,3}(/[a-z]{0,3})?", fullmatch=True), st.text(min_size=1)),
    second=st.tuples(st.from_regex(r"https://[a-z]{1,3}(/[a-z]{0,3})?", fullmatch=True), st.text(min_size=1)),
)
def test_principals_of_different_issuers_or_subjects_never_have_the_same_name(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    assert (" ".join(first) == " ".join(second)) == (first == second)
