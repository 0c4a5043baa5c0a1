"""Faults that replace, delay or corrupt responses, holds, and the log of requests."""

import math
import random
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass as checked

from maas_simulator.model.networks import RACK
from maas_simulator.model.ops import READS, check_op
from maas_simulator.model.refusals import HTML, RACK_DOWN, TEXT

STRICT: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Unknown keys are errors, in Python as in JSON. Docstrings below attributes become descriptions in the schema."""

API: Final = "/MAAS/api/2.0/"
MAX_REQUESTS: Final = 10_000
"""How many of the newest requests a region keeps."""
BODILESS: Final = (204, 304)
"""Statuses of responses without a body."""
FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
"""Headers that delimit the body."""


def relative_path(path: str) -> str:
    """Make a path relative to the API: strip ``/MAAS/api/2.0/`` or a leading slash."""
    return path.removeprefix(API).lstrip("/")


HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE: Final = re.compile(r"([!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
"""Header values that HTTP allows: Latin-1 without line breaks or surrounding blanks."""

Method = Literal["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]

DropPoint = Literal["before", "after", "headers", "body"]
"""Where the connection is closed: before or after the request is carried out, or within the response."""

KnownAnswer = Literal["bad gateway", "database conflict", "gateway timeout", "rack down", "rate limit"]
"""Typical responses of MAAS and of the proxies in front of it, with status, body and headers."""

_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"


KNOWN_ANSWERS: Final[Mapping[KnownAnswer, tuple[int, str, Mapping[str, str]]]] = {
    # MAAS 3.7: HTML and Retry-After mark a database conflict, to be retried; a state conflict has neither.
    "database conflict": (409, _HTML.format("Conflict"), {"Content-Type": HTML, "Retry-After": "5"}),
    "rack down": (503, RACK_DOWN.format(RACK), {"Content-Type": TEXT, "Retry-After": "10"}),
    # MAAS has no rate limit; the proxies in front of it have one.
    "rate limit": (429, "Too Many Requests\n", {"Content-Type": TEXT, "Retry-After": "1"}),
    "bad gateway": (502, _HTML.format("502 Bad Gateway"), {"Content-Type": HTML}),
    "gateway timeout": (504, _HTML.format("504 Gateway Time-out"), {"Content-Type": HTML}),
}
"""The status, body and headers of each."""


@dataclass
class RequestRecord:
    """A received request. ``time`` is in seconds of the region's clock; ``status`` is None until it is answered.

    ``template`` is the path relative to the API with its variable parts in braces; None if the endpoint does not exist.
    """

    time: float
    method: str
    path: str
    op: str | None
    form: dict[str, list[str]]
    query: dict[str, list[str]]
    status: int | None = None
    template: str | None = None


class Requests(list[RequestRecord]):
    """The newest requests, oldest first. The number is limited so that a region polled for days does not grow."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        """The number of all requests, including forgotten ones."""

    def append(self, record: RequestRecord) -> None:
        """Add a request, and forget the oldest one above the limit."""
        super().append(record)
        self.total += 1
        del self[:-MAX_REQUESTS]

    def clear(self) -> None:
        """Forget all requests and count from zero."""
        super().clear()
        self.total = 0


@dataclass(frozen=True)
class RequestCount:
    """The number of requests of one kind."""

    method: str
    path: str
    op: str | None
    count: int


def count_requests(records: Iterable[RequestRecord]) -> list[RequestCount]:
    """Count requests by method, path template and op; the most frequent kinds come first."""
    counts = Counter((each.method, each.template or each.path, each.op) for each in records)
    return [RequestCount(*kind, count) for kind, count in counts.most_common()]


@checked(config=STRICT)
class Latency:
    """A delay in real seconds. With a ``seed``, every run has the same delays."""

    seconds: float = Field(ge=0, allow_inf_nan=False)
    """The delay. It is the middle of a uniform delay, and the median of a lognormal one."""
    distribution: Literal["constant", "uniform", "lognormal"] = "constant"
    """How the delays of several requests vary."""
    spread: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """For a uniform delay, the seconds to either side; for a lognormal one, the sigma of its logarithm."""
    seed: int | None = None
    """The seed of the random numbers; by default they differ in every run."""

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        if self.distribution == "lognormal" and not self.seconds:
            raise ValueError("seconds is the median of a lognormal latency and must be above zero")
        if self.distribution == "constant" and self.spread:
            raise ValueError(
                "spread is allowed only with a uniform or lognormal distribution, and this one is constant"
            )
        self._random = random.Random(self.seed)  # noqa: S311 - delays are no secrets

    def draw(self) -> float:
        """Return the next delay."""
        if self.distribution == "uniform":
            return max(0.0, self._random.uniform(self.seconds - self.spread, self.seconds + self.spread))
        if self.distribution == "lognormal":
            return self._random.lognormvariate(math.log(self.seconds), self.spread)
        return self.seconds


@checked(config=STRICT)
class RateLimit:
    """A limit on matching requests in any period of real ``seconds``. The fault applies to requests above it."""

    requests: int = Field(ge=1)
    """How many requests the period allows, at least 1."""
    seconds: float = Field(gt=0, allow_inf_nan=False)
    """The length of the period."""

    def __post_init__(self) -> None:
        """Start with an empty period."""
        self._passed: deque[float] = deque()

    def passes(self, now: float) -> bool:
        """Return whether a request at this time is within the limit, and count it if so."""
        while self._passed and self._passed[0] <= now - self.seconds:
            self._passed.popleft()
        if len(self._passed) >= self.requests:
            return False
        self._passed.append(now)
        return True

    def retry_after(self, now: float) -> int:
        """Whole seconds until another request is allowed."""
        return max(1, math.ceil(self._passed[0] + self.seconds - now)) if self._passed else 1


@checked(config=STRICT)
class Fault:
    """A fault for the next ``times`` matching requests.

    ``op``, ``method`` and ``path`` select requests; a filter that is left out matches all. A fault without other fields
    responds with 500. A fault with only a ``delay`` delays the request, and later faults still apply.

    Raises:
        ValueError: A field has a bad value, or no request can ever match; the message names the field.
    """

    status: int | None = Field(default=None, ge=200, le=599)
    """The status to respond with, instead of MAAS's response."""
    body: str = ""
    """The body of that response. The content type is guessed from it unless ``headers`` has one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers of that response, except those for the length of the body."""
    op: str | None = None
    """Match only requests of this operation, such as ``deploy``."""
    method: Method | None = None
    """Match only requests with this method, such as ``POST``."""
    path: str = ""
    """Match only requests whose path starts with this, with or without ``/MAAS/api/2.0/``."""
    drop: bool | DropPoint = False
    """Close the connection: ``before`` the request is carried out (also ``true``), ``after`` it, or within the
    ``headers`` or the ``body`` of the response."""
    acts: bool = False
    """Whether MAAS carries out the request first, as when a proxy times out and MAAS continues."""
    times: int | None = Field(default=1, ge=1)
    """How many requests the fault applies to; null means all."""
    answer: KnownAnswer | None = None
    """A typical response by name, with its status, body and headers. Fields that are also given replace them."""
    delay: Latency | None = None
    """Wait before the request is carried out."""
    spoil: Literal["truncated", "malformed"] | None = None
    """Send half of the body of MAAS's response, or a body that is not JSON."""
    limit: RateLimit | None = None
    """Apply the fault only to requests above this rate, by default with a 429."""

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in headers.items():
            if name.lower() in FRAMING:
                raise ValueError(
                    f"{name} cannot be set, because the body determines it; use drop or spoil to cut a body off"
                )
            if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
                raise ValueError(f"HTTP does not allow the header {name!r} with the value {value!r}")
        return headers

    @field_validator("op")
    @classmethod
    def _check_op(cls, op: str | None) -> str | None:
        return op if op is None else check_op(op)

    @field_validator("method", mode="before")
    @classmethod
    def _convert_to_upper_case(cls, method: object) -> object:
        return method.upper() if isinstance(method, str) else method

    @field_validator("path")
    @classmethod
    def _convert_to_relative_path(cls, path: str) -> str:
        return relative_path(path)

    def __post_init__(self) -> None:
        """Fill in the named response and the default status, and reject combinations that cannot be sent."""
        if self.drop == "before" and self.acts:
            raise ValueError(
                "acts cannot be combined with a connection that is closed before the request is carried out"
            )
        if self.answer is None and self.limit is not None and self.status is None:
            self.answer = "rate limit"
        if self.answer is not None:
            status, body, headers = KNOWN_ANSWERS[self.answer]
            self.status = self.status or status
            self.headers = {**headers, **self.headers} if not self.body else self.headers
            self.body = self.body or body
        if self.status is None and not (self.drop or self.delay or self.spoil):
            self.status = 500
        if self.body and self.status in BODILESS:
            raise ValueError(f"a response with status {self.status} has no body; leave body out")
        if self.drop is True:
            self.drop = "after" if self.acts else "before"

    @property
    def only_delays(self) -> bool:
        """Whether the fault only delays, so that later faults apply as well."""
        return self.status is None and not self.drop and not self.spoil

    @property
    def carried_out(self) -> bool:
        """Whether the request is carried out."""
        return self.acts or (self.status is None and self.drop != "before") or self.drop == "after"

    def matches(self, method: str, path: str, op: str | None) -> bool:
        """Whether the fault applies to this request."""
        return self.op in (None, op) and self.method in (None, method) and relative_path(path).startswith(self.path)


@checked(frozen=True, config=STRICT)
class Hold:
    """How long the requests of an operation are held. Two zeros end the hold."""

    op: str
    """The operation, such as ``deploy``. ``events`` and ``machines`` stand for the read requests."""
    before: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Real seconds before the request is carried out."""
    after: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Real seconds between carrying out the request and sending the response."""

    @field_validator("op")
    @classmethod
    def _check_op(cls, op: str) -> str:
        return check_op(op, READS)


class Faults(list[Fault]):
    """The faults of a region, in the order they were added."""

    def meet(self, method: str, path: str, op: str | None, now: float) -> tuple[float, Fault | None]:
        """Return the delay of a request in real seconds, and the fault that replaces or changes its response."""
        delay = 0.0
        for fault in tuple(self):
            if not fault.matches(method, path, op) or (fault.limit is not None and fault.limit.passes(now)):
                continue
            delay += fault.delay.draw() if fault.delay else 0.0
            self._count_down(fault)
            if not fault.only_delays:
                return delay, fault
        return delay, None

    def _count_down(self, fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1
            if fault.times < 1:
                self[:] = [each for each in self if each is not fault]
