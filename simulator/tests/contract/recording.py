"""The recorded exchanges, read from their files."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

EXCHANGES = Path(__file__).parent / "exchanges"


@dataclass(frozen=True)
class Answer:
    """A recorded or simulated response, with either ``json`` or ``text``."""

    status: int
    headers: dict[str, str]
    json: Any = None
    text: str | None = None


@dataclass(frozen=True)
class Exchange:
    """A request and its response; the ``title`` is unique in its topic."""

    topic: str
    title: str
    method: str
    url: str
    body: str | None
    answer: Answer

    @property
    def name(self) -> str:
        """The name in the table of differences."""
        return f"{self.topic}: {self.title}"


TOPICS = tuple(sorted(path.stem for path in EXCHANGES.glob("*.jsonl")))


@cache
def exchanges(topic: str) -> tuple[Exchange, ...]:
    """Return all exchanges of a topic in their order."""
    lines = (EXCHANGES / f"{topic}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(_exchange(topic, json.loads(line)) for line in lines)


def _exchange(topic: str, line: dict[str, Any]) -> Exchange:
    answer = line["answer"]
    recorded = Answer(answer["status"], answer["headers"], answer.get("json"), answer.get("text"))
    return Exchange(topic, line["title"], line["method"], line["url"], line["body"], recorded)
