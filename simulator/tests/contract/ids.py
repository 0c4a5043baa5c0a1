"""Maps ids of the recorded region to ids of the simulated one."""

import json
from dataclasses import dataclass, field, replace

from simulator.tests.contract.recording import Answer, Exchange


@dataclass
class Ids:
    """Translates the ids that a topic creates: system ids of machines, and event cursors."""

    ours: dict[str, str] = field(default_factory=dict)
    """By the recorded id."""

    def in_request(self, exchange: Exchange) -> Exchange:
        """Translate a recorded request for the simulated region."""
        url = exchange.url
        for theirs, ours in self.ours.items():
            url = url.replace(theirs, ours)
        return replace(exchange, url=url)

    def learn(self, recorded: Answer, answer: Answer) -> Answer:
        """Remember the id of a machine that was just created, and translate the response."""
        theirs, ours = _made(recorded), _made(answer)
        if theirs and ours and theirs != ours:
            self.ours[theirs] = ours
        return self.in_answer(answer)

    def in_answer(self, answer: Answer) -> Answer:
        """Translate a response of the simulated region to the recorded ids."""
        if answer.json is None:
            return answer
        text = json.dumps(answer.json)
        for theirs, ours in self.ours.items():
            text = text.replace(f'"{ours}"', f'"{theirs}"').replace(f"/{ours}/", f"/{theirs}/")
        return replace(answer, json=json.loads(text))


def _made(answer: Answer) -> str | None:
    """The system id of a machine created by this request: a single *New* machine."""
    shown = answer.json
    return shown["system_id"] if isinstance(shown, dict) and shown.get("status_name") == "New" else None
