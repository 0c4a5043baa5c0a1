"""What the region of the recording called things, and what the simulated one calls them."""

import json
from dataclasses import dataclass, field, replace

from simulator.tests.contract.recording import Answer, Exchange


@dataclass
class Ids:
    """Translates what was made while a topic was played: machines' system ids, and cursors into the events."""

    ours: dict[str, str] = field(default_factory=dict)
    """By what the recording calls it."""

    def in_request(self, exchange: Exchange) -> Exchange:
        """The request as the simulated region has to be asked."""
        url = exchange.url
        for theirs, ours in self.ours.items():
            url = url.replace(theirs, ours)
        return replace(exchange, url=url)

    def learn(self, recorded: Answer, answer: Answer) -> Answer:
        """Take note of the id of a machine that was just made, and give the answer in the recording's words."""
        theirs, ours = _made(recorded), _made(answer)
        if theirs and ours and theirs != ours:
            self.ours[theirs] = ours
        return self.in_answer(answer)

    def in_answer(self, answer: Answer) -> Answer:
        """The answer in the recording's words."""
        if answer.json is None:
            return answer
        text = json.dumps(answer.json)
        for theirs, ours in self.ours.items():
            text = text.replace(f'"{ours}"', f'"{theirs}"').replace(f"/{ours}/", f"/{theirs}/")
        return replace(answer, json=json.loads(text))


def _made(answer: Answer) -> str | None:
    """The system id of a machine that was made with this answer: *New*, and shown by itself."""
    shown = answer.json
    return shown["system_id"] if isinstance(shown, dict) and shown.get("status_name") == "New" else None
