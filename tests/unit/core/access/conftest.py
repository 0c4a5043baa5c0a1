"""A running issuer, and the verification of its tokens."""

from collections.abc import AsyncIterator, Iterator
from functools import partial

import anyio
import pytest
import trustme

from maas_mcp.access.access_tokens import AccessTokens
from maas_mcp.access.issuer import ReadLimits, read_keys
from maas_mcp.access.issuer_keys import IssuerKeys
from tests.issuer import Issuer, issuing

LIMITS = ReadLimits(seconds=30.0, size=100_000)


class Clock:
    """A clock that tests set, because the issuer answers in real time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def anyio_backend() -> str:
    """The issuer is a real server, so its time is real as well."""
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def _one_ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one CA instead of the system's, which take 20 ms for each client. The issuer serves plain HTTP."""
    bundle = tmp_path_factory.mktemp("cas") / "one.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        yield


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(issuer: Issuer, clock: Clock) -> AsyncIterator[IssuerKeys]:
    """The cached keys of the issuer."""
    async with anyio.create_task_group() as tasks:
        yield IssuerKeys(partial(read_keys, issuer.url, None, LIMITS), tasks, now=clock)
        tasks.cancel_scope.cancel()


@pytest.fixture
def tokens(issuer: Issuer, keys: IssuerKeys) -> AccessTokens:
    """Accepts the tokens of the issuer."""
    return AccessTokens({issuer.url: keys}, [issuer.audience])
