"""What a test can do to the traffic (faults that replace answers, holds that delay them), and the record of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class RequestRecord:
    """A request as it arrived: ``time`` is the region's clock, ``status`` is None until it is answered."""

    time: float
    method: str
    path: str
    op: str | None
    form: dict[str, list[str]]
    query: dict[str, list[str]]
    status: int | None = None


@dataclass
class Fault:
    """What the next ``times`` matching requests get instead of their answer.

    ``op``, ``method`` and ``path`` (a prefix, with or without ``/MAAS/api/2.0/``) say which requests; what is
    left out matches all. ``drop`` closes the connection without an answer. With ``acts`` the request is carried
    out first, as when a proxy gives up on a MAAS that goes on.
    """

    status: int = 500
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    op: str | None = None
    method: str | None = None
    path: str = ""
    drop: bool = False
    acts: bool = False
    times: int = 1

    def matches(self, method: str, path: str, op: str | None) -> bool:
        """Whether this request is meant."""
        return (
            self.times > 0
            and self.op in (None, op)
            and (self.method is None or self.method.upper() == method)
            and path.removeprefix("/MAAS/api/2.0/").startswith(self.path.removeprefix("/MAAS/api/2.0/"))
        )


@dataclass(frozen=True)
class Hold:
    """How long requests are held: real seconds ``before`` they act and ``after``, before they are answered."""

    before: float = 0.0
    after: float = 0.0
