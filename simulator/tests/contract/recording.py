"""The recorded exchanges, as they are in the files."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

EXCHANGES = Path(__file__).parent / "exchanges"


@dataclass(frozen=True)
class Answer:
    """What MAAS answered, or what the simulator does: ``json`` and ``text`` exclude each other."""

    status: int
    headers: dict[str, str]
    json: Any = None
    text: str | None = None


@dataclass(frozen=True)
class Exchange:
    """One request and its answer; its ``title`` is unique in its topic."""

    topic: str
    title: str
    method: str
    url: str
    body: str | None
    answer: Answer

    @property
    def name(self) -> str:
        """How the table of differences calls it."""
        return f"{self.topic}: {self.title}"


TOPICS = tuple(sorted(path.stem for path in EXCHANGES.glob("*.jsonl")))


@cache
def exchanges(topic: str) -> tuple[Exchange, ...]:
    """All exchanges of a topic, in the order they were made."""
    lines = (EXCHANGES / f"{topic}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(_exchange(topic, json.loads(line)) for line in lines)


def _exchange(topic: str, line: dict[str, Any]) -> Exchange:
    answer = line["answer"]
    recorded = Answer(answer["status"], answer["headers"], answer.get("json"), answer.get("text"))
    return Exchange(topic, line["title"], line["method"], line["url"], line["body"], recorded)
