"""The recorded exchanges, read from their files.

The first recording has topics that were recorded one by one. The second is one sequence: ``n`` is an exchange's place
in it, and between the exchanges are events in the recorded lab.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Answer:
    """A recorded or simulated response, with either ``json`` or ``text``."""

    status: int
    headers: dict[str, str]
    json: Any = None
    text: str | None = None


@dataclass(frozen=True)
class Exchange:
    """A request and its response.

    ``user`` signs the request; None sends it as it is. ``headers`` are those that differ from the usual ones; an empty
    one is left out. ``ended`` is in seconds since the start.
    """

    topic: str
    title: str
    method: str
    url: str
    body: str | None
    answer: Answer
    user: str | None = "admin"
    headers: Mapping[str, str] = field(default_factory=dict)
    n: int = 0
    ended: float = 0.0
    parallel: str = ""
    """The name of the requests that were sent at once with it, if there were any."""

    @property
    def is_refused(self) -> bool:
        """Whether the recorded MAAS did not carry it out."""
        return self.answer.status >= 400

    @property
    def name(self) -> str:
        """The name in the table of differences, which is unique in a recording."""
        return f"{self.n} {self.topic}: {self.title}" if self.n else f"{self.topic}: {self.title}"


@dataclass(frozen=True)
class LabEvent:
    """A command to the recorded lab with its answer, a wait, a reset to the start, or a time that was not recorded.

    ``t`` and ``ended`` are in seconds since the start.
    """

    title: str
    n: int
    t: float
    ended: float
    command: tuple[str, ...] = ()
    answer: str = ""
    hostname: str | None = None
    statuses: tuple[str, ...] = ()
    is_reset: bool = False
    parallel = ""
    is_refused = False


@dataclass(frozen=True)
class Recording:
    """A recording, in a folder with a file for each topic."""

    folder: Path

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """All topics in alphabetical order."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.jsonl")))

    @cache  # noqa: B019 - there are two recordings, which live as long as the tests
    def steps(self, topic: str) -> tuple[Exchange | LabEvent, ...]:
        """Return a topic in its order."""
        lines = (self.folder / f"{topic}.jsonl").read_text(encoding="utf-8").splitlines()
        return tuple(_step(topic, json.loads(line)) for line in lines)

    def exchanges(self, topic: str) -> tuple[Exchange, ...]:
        """Return all exchanges of a topic in their order."""
        return tuple(step for step in self.steps(topic) if isinstance(step, Exchange))

    def sequence(self) -> list[Exchange | LabEvent]:
        """Return the steps of all topics in their common order.

        Of requests that were sent at once, MAAS carried out first those that it accepted, in the order of their ends.
        """
        steps = sorted((step for topic in self.topics for step in self.steps(topic)), key=lambda step: step.n)
        groups = groupby(steps, lambda step: step.parallel or step.n)
        return [step for _, group in groups for step in sorted(group, key=lambda step: (step.is_refused, step.ended))]


FIRST = Recording(HERE / "exchanges")
SECOND = Recording(HERE / "exchanges-2")


def _step(topic: str, line: dict[str, Any]) -> Exchange | LabEvent:
    return _exchange(topic, line) if "method" in line else _event(line)


def _exchange(topic: str, line: dict[str, Any]) -> Exchange:
    return Exchange(
        topic,
        line["title"],
        line["method"],
        line["url"],
        line["body"],
        _answer(line["answer"]),
        line["as"],
        line.get("headers", {}),
        line.get("n", 0),
        line.get("t", 0.0) + line.get("took", 0.0),
        line.get("parallel", ""),
    )


def _answer(line: dict[str, Any]) -> Answer:
    return Answer(line["status"], line["headers"], line.get("json"), line.get("text"))


def _event(line: dict[str, Any]) -> LabEvent:
    wait = line.get("wait", {})
    return LabEvent(
        line["title"],
        line["n"],
        line["t"],
        line["t"] + line.get("took", wait.get("seconds", 0.0)),
        tuple(line.get("ctl", ())),
        line.get("answer", ""),
        wait.get("hostname"),
        tuple(wait.get("status_name", ())),
        is_reset="reset" in line,
    )
