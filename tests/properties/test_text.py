"""Text that MAAS or a client sends: any JSON is read alike or refused with a message."""

import json
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.access.access_tokens import AccessTokens
from maas_mcp.access.issuer_keys import IssuerKeys
from maas_mcp.access.key_sets import ALGORITHMS, KeySet
from maas_mcp.maas.text import parse_json, visible_json
from tests.issuer import encoded, jwk, new_key

HOSTILE = "node\u202e01\x1b[2J"


texts = st.text() | st.sampled_from([HOSTILE, "\x7f", "\\u202e", "\r\n", "\ud800", "é", "\\", '"'])


@given(st.recursive(texts | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_decoder_gets_the_text_that_the_json_parser_returns(ascii_only: bool, value: Any) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert json.loads(visible_json(body)) == parse_json(body)


PUBLISHED = jwk(new_key(), kid="first")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


HEADERS = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64"]), JSON | st.sampled_from([*ALGORITHMS]))


CLAIMS = st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp"]), JSON | st.just("https://sso.example.com"))


@given(
    st.text() | st.tuples(HEADERS | JSON, CLAIMS | JSON, st.binary()).map(lambda parts: ".".join(map(encoded, parts)))
)
def test_no_text_is_accepted_that_the_issuer_did_not_sign(token: str) -> None:
    async def verify() -> None:
        async with anyio.create_task_group() as tasks:
            keys = IssuerKeys(published, tasks)
            accepted = AccessTokens({"https://sso.example.com": keys}, ["https://sso.example.com"])
            assert await accepted.verify(token) is None

    async def published() -> KeySet:
        return KeySet({"keys": [PUBLISHED]})

    anyio.run(verify)
