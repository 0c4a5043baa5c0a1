"""Recorded operations of live MAAS regions: one file each, polled every half second.

A file has ``frames``. Each has the time ``t`` and the changes: the ``machine``, or with ``machine_error`` MAAS's error
instead, ``events``, and script sets (``scripts_testing``). The first frame shows the machine before the start, with the
id of its newest event (``cursor``). One frame has the response to the request that started it (``post``).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

DATA = Path(__file__).parent / "recorded"
FOLDERS = "timelines*"
"""The folders with the recordings, one for each region."""

SETS = ("commissioning", "testing", "installation")
"""The kinds of script sets."""

ADMINISTRATOR = "admin"
"""The user who starts an operation if the recording names nobody."""

JSON = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A response of MAAS: parsed JSON, or text."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] | None = None

    @property
    def json(self) -> JSON | None:
        """The object in the response, or None."""
        return self.body if isinstance(self.body, dict) else None


@dataclass(frozen=True)
class Start:
    """The request that starts the operation, with MAAS's response."""

    op: str
    form: tuple[tuple[str, str], ...]
    username: str
    answer: Answer


@dataclass(frozen=True)
class Frame:
    """The changes at one time."""

    t: float
    """Seconds since the start of the recording. A response has the time of its arrival."""
    machine: Answer | None
    events: tuple[JSON, ...]
    """Oldest first."""
    scripts: Mapping[str, Answer]
    """By kind, see :data:`SETS`."""
    start: Start | None

    @property
    def shown(self) -> Answer | None:
        """The machine, from a read or from the response to the start."""
        answer = self.start.answer if self.start and self.start.answer.json else None
        return self.machine or answer

    @property
    def script_results(self) -> list[JSON]:
        """The scripts of all sets in this frame."""
        return [script for read in self.scripts.values() if read.json for script in read.json["results"]]


@dataclass(frozen=True)
class Moment:
    """The state of the region at one time."""

    machine: Answer
    events: tuple[JSON, ...]
    """Since the first frame, oldest first."""
    scripts: Mapping[str, Answer]


@dataclass(frozen=True)
class Recording:
    """One operation, with the machine before and after it."""

    name: str
    maas: str
    system_id: str
    cursor: int
    frames: tuple[Frame, ...]

    @property
    def start(self) -> Start:
        """The request that starts the operation. Later requests are those of other users."""
        return self._started[1]

    @property
    def started_at(self) -> float:
        """The time of the response to the start."""
        return self._started[0]

    @property
    def length(self) -> float:
        """The time of the last frame."""
        return self.frames[-1].t

    @property
    def machines(self) -> list[JSON]:
        """The machine after each change. The second is the response to the start, if that shows it."""
        return [frame.shown.json for frame in self.frames if frame.shown and frame.shown.json]

    @property
    def events(self) -> list[JSON]:
        """All events since the first frame, oldest first."""
        return [event for frame in self.frames for event in frame.events]

    @property
    def took_effect(self) -> bool:
        """Whether MAAS showed anything of the operation; a failed start may leave no trace."""
        return bool(self.events) or any(frame.machine for frame in self.frames[1:])

    def at(self, t: float) -> Moment:
        """The state of the region at ``t``, from the latest frame."""
        first, *others = self.frames
        seen = [first, *(frame for frame in others if frame.t <= t)]
        machine = [frame.shown for frame in seen if frame.shown]
        events = tuple(event for frame in seen for event in frame.events)
        return Moment(machine[-1], events, {kind: answer for frame in seen for kind, answer in frame.scripts.items()})

    @property
    def _started(self) -> tuple[float, Start]:
        return next((frame.t, frame.start) for frame in self.frames if frame.start)


def paths() -> list[Path]:
    """The files of all recordings."""
    return sorted(DATA.glob(f"{FOLDERS}/*.json"))


def named(name: str) -> Recording:
    """Return the recording with this name, from any region."""
    return read(next(path for path in paths() if path.stem == name))


@cache
def read(path: Path) -> Recording:
    """Read the recording in a file."""
    file = json.loads(path.read_text())
    frames = tuple(_frame(frame) for frame in file["frames"])
    return Recording(path.stem, file["maas"], file["system_id"], file["frames"][0]["cursor"], frames)


def _frame(frame: JSON) -> Frame:
    post = frame.get("post")
    start = None if post is None else _start(post)
    machine = _answer(frame["machine"]) if frame.get("machine") else None
    if frame.get("machine_error"):
        machine = _answer(frame["machine_error"])
    events = sorted(frame.get("events") or (), key=lambda event: int(event["id"]))
    return Frame(frame["t"], machine, tuple(events), dict(_scripts(frame)), start)


def _start(post: JSON) -> Start:
    query = parse_qs(urlsplit(post["url"]).query)
    form = tuple(parse_qsl(post["body"] or ""))
    answer = Answer(post["machine"], post["status"], dict(post.get("headers") or {}))
    return Start(query["op"][0], form, post.get("as") or ADMINISTRATOR, answer)


def _scripts(frame: JSON) -> Iterator[tuple[str, Answer]]:
    for kind in SETS:
        if scripts := frame.get(f"scripts_{kind}"):
            yield kind, _answer(scripts)


def _answer(recorded: JSON) -> Answer:
    """Parse a response; an error was recorded as its status and text."""
    return Answer(recorded["text"], recorded["status"]) if "text" in recorded else Answer(recorded)
