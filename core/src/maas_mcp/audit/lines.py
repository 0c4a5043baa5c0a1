"""The format of an audit file: one JSON object in each line, chained by SHA-256 over the exact bytes.

    {"seq":7,"prev":"HASH of line 6", … ,"hash":"HASH"}

The hash of a line covers its bytes before ``,"hash":``, so programs in any language can check it without a canonical
form of JSON. ``docs/reference/audit.md`` documents the format.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple, Self

from pydantic_core import to_json

START: Final = b'{"seq":'
"""The start of every line."""
NO_HASH: Final = "0" * 64
"""The previous hash in line 1."""
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
"""Its output is ASCII, like that of :func:`_encode`."""
_HASH: Final = b',"hash":"'
_SEQ: Final = re.compile(START + rb"([1-9]\d{0,17}),")
_WHOLE: Final = re.compile(rb',"hash":"[^"]{64}"\}$')
_HEAD: Final = re.compile(r"0*([0-9]{1,18}):([0-9a-f]{64})\n?")
HEAD_BYTES: Final = 84
"""The length of a head file. It never changes, so that a new head replaces the old one in place."""


class Head(NamedTuple):
    """The newest line of a chain: its number and its hash."""

    seq: int = 0
    hash: str = NO_HASH

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    def to_bytes(self) -> bytes:
        """The content of the head file."""
        return f"{self.seq:018d}:{self.hash}\n".encode()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse ``SEQ:HASH``; ``None`` if the text has another form."""
        found = _HEAD.fullmatch(text)
        return None if found is None else cls(int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Torn:
    """An incomplete line, whose writer was killed."""

    length: int
    """Bytes, without the newline that the next writer has added."""
    digest: str
    """SHA-256 of the bytes."""

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Describe an incomplete line."""
        return cls(len(content), sha256(content).hexdigest())

    def to_json(self) -> dict[str, int | str]:
        """The value of ``torn`` in the line after it."""
        return {"bytes": self.length, "sha256": self.digest}


@dataclass(frozen=True, slots=True)
class Line:
    """A line with a valid hash."""

    head: Head
    prev: str
    fields: Mapping[str, Any]

    @property
    def torn(self) -> Torn | None:
        """The incomplete line just before this one, if any."""
        torn = self.fields.get("torn")
        return Torn(torn.get("bytes", -1), torn.get("sha256", "")) if isinstance(torn, dict) else None

    @property
    def starts_file(self) -> bool:
        """Whether this was the first line of its file."""
        return self.fields.get("starts_file") is True


def encode_line(
    after: Head, fields: Mapping[str, Any], *, torn: bytes = b"", starts_file: bool = False
) -> tuple[bytes, Head]:
    """Return the line that follows ``after``, and its head.

    Args:
        after: The previous line.
        fields: The content.
        torn: An incomplete line before it in the file.
        starts_file: Whether the file has no earlier line.
    """
    start: dict[str, Any] = {"seq": after.seq + 1, "prev": after.hash}
    if starts_file:
        start["starts_file"] = True
    if torn:
        start["torn"] = Torn.of(torn).to_json()
    body = _encode({**start, **fields})[:-1]
    digest = sha256(body).hexdigest()
    return b'%b%b%b"}\n' % (body, _HASH, digest.encode()), Head(after.seq + 1, digest)


def decode_line(line: bytes) -> Line | None:
    """Read a line without its newline. Returns ``None`` if it is not a line, or its hash is wrong."""
    body, separator, rest = line.rpartition(_HASH)
    if not separator or rest != f'{sha256(body).hexdigest()}"}}'.encode():
        return None
    fields = _fields(line)
    seq, prev = fields.get("seq"), fields.get("prev")
    if type(seq) is not int or not isinstance(prev, str):
        return None
    return Line(Head(seq, fields["hash"]), prev, fields)


def format_time(seconds: float) -> str:
    """Format seconds since 1970 as ``2026-11-29T17:04:05.678Z``."""
    whole = int(seconds)
    return f"{_format_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=1)
def _format_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def is_whole(line: bytes) -> bool:
    """Whether a line has the end of a complete line, even if its hash is invalid."""
    return _WHOLE.search(line) is not None


def number_of(line: bytes) -> int | None:
    """The number at the start of a line, even if the line is incomplete or was changed."""
    found = _SEQ.match(line)
    return None if found is None else int(found[1])


def names_torn(line: bytes, torn: Torn) -> bool:
    """Whether a line records this incomplete line, even if the line was changed elsewhere."""
    return _ENCODER.encode({"torn": torn.to_json()})[1:-1].encode() in line


def _encode(fields: Mapping[str, Any]) -> bytes:
    """Encode JSON without spaces, in ASCII. Pydantic's encoder takes less than half of the time of Python's own."""
    try:
        return to_json(fields, ensure_ascii=True, inf_nan_mode="strings")
    except ValueError:  # it takes no half of a surrogate pair and no deep nesting, which a client may send
        return _ENCODER.encode(fields).encode()


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
