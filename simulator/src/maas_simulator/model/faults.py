"""What can be done to the traffic: faults that replace, delay or spoil answers, holds, and the record of requests."""

import math
import random
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass as checked

from maas_simulator.model.networks import RACK
from maas_simulator.model.ops import check_op
from maas_simulator.model.refusals import HTML, RACK_DOWN, TEXT

STRICT: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""From Python as from JSON an unknown key is an error, and what stands below an attribute describes it."""

API: Final = "/MAAS/api/2.0/"
REMEMBERED: Final = 10_000
"""How many of the newest requests a region remembers."""
BODILESS: Final = (204, 304)
"""What is answered without a body."""
FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
"""Headers that say where a body ends."""


def inside(path: str) -> str:
    """A path inside the API, whether it was written with ``/MAAS/api/2.0/``, with a slash, or without either."""
    return path.removeprefix(API).lstrip("/")


HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE: Final = re.compile(r"([!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
"""What HTTP allows: Latin-1 without line breaks, and without blanks around it."""

Method = Literal["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]

DropPoint = Literal["before", "after", "headers", "body"]
"""Where a connection is closed: before the request is acted on, after it, or in the midst of the answer's parts."""

KnownAnswer = Literal["bad gateway", "database conflict", "gateway timeout", "rack down", "rate limit"]
"""Answers of MAAS and of the proxies before it that have a status, a body and headers of their own."""

_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"


@dataclass(frozen=True)
class _Known:
    status: int
    body: str
    headers: Mapping[str, str]


KNOWN_ANSWERS: Final[Mapping[KnownAnswer, _Known]] = MappingProxyType(
    {
        # MAAS 3.7: HTML and Retry-After tell a conflict in the database, to be tried again, from one of states.
        "database conflict": _Known(409, _HTML.format("Conflict"), {"Content-Type": HTML, "Retry-After": "5"}),
        "rack down": _Known(503, RACK_DOWN.format(RACK), {"Content-Type": TEXT, "Retry-After": "10"}),
        # MAAS has no rate limit; the proxies before it do.
        "rate limit": _Known(429, "Too Many Requests\n", {"Content-Type": TEXT, "Retry-After": "1"}),
        "bad gateway": _Known(502, _HTML.format("502 Bad Gateway"), {"Content-Type": HTML}),
        "gateway timeout": _Known(504, _HTML.format("504 Gateway Time-out"), {"Content-Type": HTML}),
    }
)


@dataclass
class RequestRecord:
    """A request as it arrived: ``time`` is the region's clock, ``status`` is None until it is answered.

    ``template`` is the path with its variable parts in braces, without the prefix of the API; None if there is no
    such endpoint.
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
    """The newest requests, oldest first, so that a region that is polled for days does not grow."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        """How many there were, also of those that are forgotten."""

    def append(self, record: RequestRecord) -> None:
        """Remember one more, and forget the oldest if there are too many."""
        super().append(record)
        self.total += 1
        del self[:-REMEMBERED]

    def clear(self) -> None:
        """Forget them all, and count from zero."""
        super().clear()
        self.total = 0


@dataclass(frozen=True)
class RequestCount:
    """How many requests there were of one kind."""

    method: str
    path: str
    op: str | None
    count: int


def count_requests(records: Iterable[RequestRecord]) -> list[RequestCount]:
    """The requests by method, path template and op, the most frequent first."""
    counts = Counter((each.method, each.template or each.path, each.op) for each in records)
    return [RequestCount(*kind, count) for kind, count in counts.most_common()]


@checked(config=STRICT)
class Latency:
    """Real seconds by which a request is delayed; with a ``seed`` they are the same in every run."""

    seconds: float = Field(ge=0, allow_inf_nan=False)
    """The delay; of a uniform one the middle, of a lognormal one the median."""
    distribution: Literal["constant", "uniform", "lognormal"] = "constant"
    """How the delays of several requests differ."""
    spread: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Of a uniform delay the seconds to either side, of a lognormal one the sigma of its logarithm."""
    seed: int | None = None
    """Where the random numbers begin; left out, they are others each time."""

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.distribution == "lognormal" and not self.seconds:
            raise ValueError("a lognormal latency wants a median above zero")
        if self.distribution == "constant" and self.spread:
            raise ValueError("spread goes with a uniform or a lognormal latency, and this one is constant")
        self._random = random.Random(self.seed)  # noqa: S311 - delays are no secrets

    def draw(self) -> float:
        """The next delay."""
        if self.distribution == "uniform":
            return max(0.0, self._random.uniform(self.seconds - self.spread, self.seconds + self.spread))
        if self.distribution == "lognormal":
            return self._random.lognormvariate(math.log(self.seconds), self.spread)
        return self.seconds


@checked(config=STRICT)
class RateLimit:
    """How many matching requests pass in any stretch of real ``seconds``; a fault meets those beyond."""

    requests: int = Field(ge=1)
    """How many requests, from 1 on."""
    seconds: float = Field(gt=0, allow_inf_nan=False)
    """The length of the stretch."""

    def __post_init__(self) -> None:
        """Nothing has passed yet."""
        self._passed: deque[float] = deque()

    def passes(self, now: float) -> bool:
        """Whether a request at this moment may pass; if so it counts."""
        while self._passed and self._passed[0] <= now - self.seconds:
            self._passed.popleft()
        if len(self._passed) >= self.requests:
            return False
        self._passed.append(now)
        return True

    def retry_after(self, now: float) -> int:
        """Whole seconds until one passes again."""
        return max(1, math.ceil(self._passed[0] + self.seconds - now)) if self._passed else 1


@checked(config=STRICT)
class Fault:
    """What the next ``times`` matching requests meet.

    ``op``, ``method`` and ``path`` say which requests; what is left out matches all. A fault that says nothing else
    answers 500. One with a ``delay`` alone lets the request go on to the next fault and to its own answer.

    Raises:
        ValueError: A field has a value that it cannot have, or no request could ever meet it; the message says which.
    """

    status: int | None = Field(default=None, ge=200, le=599)
    """The status to answer with, in the place of MAAS's answer."""
    body: str = ""
    """The body of that answer; the content type is guessed from it unless ``headers`` has one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers of that answer, but for those that say how long its body is."""
    op: str | None = None
    """Only requests of this operation, such as ``deploy``."""
    method: Method | None = None
    """Only requests of this method, such as ``POST``."""
    path: str = ""
    """Only requests whose path begins so, with or without ``/MAAS/api/2.0/``."""
    drop: bool | DropPoint = False
    """Close the connection: ``before`` the request is acted on (which is what ``true`` means), ``after`` it, in the
    midst of the answer's ``headers``, or of its ``body``."""
    acts: bool = False
    """Carry the request out first, as when a proxy gives up on a MAAS that goes on."""
    times: int | None = Field(default=1, ge=1)
    """How many requests meet it; null is for ever."""
    answer: KnownAnswer | None = None
    """An answer by its name, which has its own status, body and headers; what is given beside takes their place."""
    delay: Latency | None = None
    """Wait before acting."""
    spoil: Literal["truncated", "malformed"] | None = None
    """Send MAAS's own answer with half its body, or with a body that is no JSON."""
    limit: RateLimit | None = None
    """Meet only what goes beyond this rate: 429, unless another answer is given."""

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in headers.items():
            if name.lower() in FRAMING:
                raise ValueError(f"{name} follows from the body; drop and spoil cut bodies off")
            if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
                raise ValueError(f"no HTTP header can be {name!r} with {value!r}")
        return headers

    @field_validator("op")
    @classmethod
    def _is_one_of_maas(cls, op: str | None) -> str | None:
        return op if op is None else check_op(op)

    @field_validator("method", mode="before")
    @classmethod
    def _is_written_large(cls, method: object) -> object:
        return method.upper() if isinstance(method, str) else method

    @field_validator("path")
    @classmethod
    def _is_inside_the_api(cls, path: str) -> str:
        return inside(path)

    def __post_init__(self) -> None:
        """Fill in the named answer, and the status of a fault that says nothing else; refuse what cannot be sent."""
        if self.drop == "before" and self.acts:
            raise ValueError("acts does not go with a connection that is dropped before the request is acted on")
        if self.answer is None and self.limit is not None and self.status is None:
            self.answer = "rate limit"
        if self.answer is not None:
            known = KNOWN_ANSWERS[self.answer]
            self.status = self.status or known.status
            self.headers = {**known.headers, **self.headers} if not self.body else self.headers
            self.body = self.body or known.body
        if self.status is None and not (self.drop or self.delay or self.spoil):
            self.status = 500
        if self.body and self.status in BODILESS:
            raise ValueError(f"an answer of {self.status} has no body")
        if self.drop is True:
            self.drop = "after" if self.acts else "before"

    @property
    def only_delays(self) -> bool:
        """Whether the request goes on to the next fault after its delay."""
        return self.status is None and not self.drop and not self.spoil

    @property
    def carried_out(self) -> bool:
        """Whether the request is acted on."""
        return self.acts or (self.status is None and self.drop != "before") or self.drop == "after"

    def matches(self, method: str, path: str, op: str | None) -> bool:
        """Whether this request is meant."""
        return self.op in (None, op) and self.method in (None, method) and inside(path).startswith(self.path)


@checked(frozen=True)
class Hold:
    """How long requests are held: real seconds ``before`` they act and ``after``, before they are answered."""

    before: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    after: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class Faults(list[Fault]):
    """The faults of a region, in the order they were added."""

    def meet(self, method: str, path: str, op: str | None, now: float) -> tuple[float, Fault | None]:
        """The real seconds by which a request is delayed, and the fault that takes or spoils its answer."""
        delay = 0.0
        for fault in tuple(self):
            if not fault.matches(method, path, op) or (fault.limit is not None and fault.limit.passes(now)):
                continue
            delay += fault.delay.draw() if fault.delay else 0.0
            self._spend(fault)
            if not fault.only_delays:
                return delay, fault
        return delay, None

    def _spend(self, fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1
            if fault.times < 1:
                self[:] = [each for each in self if each is not fault]
