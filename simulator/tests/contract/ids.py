"""Maps ids of the recorded region to ids of the simulated one, as both create objects."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from simulator.tests.contract.recording import Answer, Exchange

NODE, EVENT, LINK = "node", "event", "links"
KINDS = dict.fromkeys(("machines", "nodes", "devices", "rackcontrollers", "regioncontrollers"), NODE)
"""Collections whose objects share their ids."""

PARAMETERS = {
    **dict.fromkeys(("after", "before"), EVENT),
    **dict.fromkeys(("interface", "parents", "parent"), "interfaces"),
    # Apart from those of machines, which are no numbers, only the ids of links are an ``id``.
    **dict.fromkeys(("link_id", "id"), LINK),
    **{name: f"{name}s" for name in ("vlan", "fabric", "subnet", "space")},
    "block_devices": "blockdevices",
    "partitions": "partition",
}
"""Parameters whose value is an id."""

_NEAR = 50
"""The recorded requests name links that exist, or one that is far away."""

_NUMBER = re.compile(r"\b(\w+)=(\d+)\b")

Pair = tuple[str, str, str]
"""The kind of an object, its recorded id and its simulated one."""


class Ids:
    """Translates the ids of objects in requests, and the system ids of machines in responses.

    The machines that ``known`` names have the same id in both regions. Ids of other objects are paired where both
    regions show the same object.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._ours: dict[str, dict[str, str]] = defaultdict(dict)
        """By kind and recorded id."""
        self._ours[NODE] = {system_id: system_id for system_id in known}

    def pair(self, kind: str, theirs: str, ours: str) -> None:
        """Remember the id of an object. The first pair counts."""
        self._ours[kind].setdefault(theirs, ours)

    def in_request(self, exchange: Exchange) -> Exchange:
        """Translate a recorded request for the simulated region."""
        path, mark, query = exchange.url.partition("?")
        url = "/".join(self._segments(path.split("/"))) + mark + self._in_parameters(query)
        body = exchange.body and self._in_parameters(exchange.body)
        for theirs, ours in self._created():
            url, body = url.replace(theirs, ours), body and body.replace(theirs, ours)
        return replace(exchange, url=url, body=body)

    def learn(self, recorded: Any, simulated: Any) -> None:
        """Remember the ids of the objects that both JSON values show."""
        for kind, theirs, ours in _pairs(recorded, simulated):
            self.pair(kind, theirs, ours)

    def in_answer(self, answer: Answer) -> Answer:
        """Translate a response of the simulated region to the recorded ids."""
        text = answer.text if answer.json is None else json.dumps(answer.json)
        for theirs, ours in self._created():
            text = text and text.replace(ours, theirs)
        return replace(answer, text=text) if answer.json is None else replace(answer, json=json.loads(text or "null"))

    def _created(self) -> list[tuple[str, str]]:
        return [(theirs, ours) for theirs, ours in self._ours[NODE].items() if theirs != ours]

    def _segments(self, segments: list[str]) -> Iterator[str]:
        yield segments[0]
        for collection, name in pairwise(segments):
            yield self._ours.get(KINDS.get(collection, collection), {}).get(name, name)

    def _in_parameters(self, text: str) -> str:
        return _NUMBER.sub(lambda match: f"{match[1]}={self._in_parameter(match[1], match[2])}", text)

    def _in_parameter(self, name: str, theirs: str) -> str:
        kind = PARAMETERS.get(name, name)
        if kind in (EVENT, LINK):
            return self._nearest(kind, int(theirs))
        return self._ours.get(kind, {}).get(theirs, theirs)

    def _nearest(self, kind: str, theirs: int) -> str:
        """The object's id, or the one at the same distance from the latest known object before it."""
        known = max((int(each) for each in self._ours[kind] if int(each) <= theirs), default=None)
        if known is None or (kind == LINK and theirs - known > _NEAR):
            return str(theirs)
        return str(int(self._ours[kind][str(known)]) + theirs - known)


def _pairs(recorded: Any, simulated: Any) -> Iterator[Pair]:
    if isinstance(recorded, dict) and isinstance(simulated, dict):
        for key in recorded.keys() & simulated.keys():
            yield from _member_pairs(key, recorded[key], simulated[key])
    elif isinstance(recorded, list) and isinstance(simulated, list):
        ours = {_identity(each, index): each for index, each in enumerate(simulated)}
        for index, each in enumerate(recorded):
            yield from _pairs(each, ours.get(_identity(each, index)))


def _member_pairs(key: str, recorded: Any, simulated: Any) -> Iterator[Pair]:
    if key == "links":
        yield from (
            ("links", str(one["id"]), str(other["id"])) for one, other in zip(recorded, simulated, strict=False)
        )
    if key == "resource_uri" and isinstance(simulated, str):
        yield from _uri_pairs(recorded, simulated)
    elif key.endswith("_result_id") and recorded and simulated:
        yield "results", str(recorded), str(simulated)
    elif key == "events":
        yield from _event_pairs(recorded, simulated)
    else:
        yield from _pairs(recorded, simulated)


def _uri_pairs(recorded: str, simulated: str) -> Iterator[Pair]:
    """Pair system ids and numbers. Names are the same in both regions."""
    for (collection, theirs), (same, ours) in zip(
        pairwise(recorded.split("/")), pairwise(simulated.split("/")), strict=False
    ):
        kind = KINDS.get(collection, collection)
        if collection == same and (kind == NODE or (theirs.isdigit() and ours.isdigit())):
            yield kind, theirs, ours


def _event_pairs(recorded: list[dict[str, Any]], simulated: list[dict[str, Any]]) -> Iterator[Pair]:
    """Pair the latest events of each description with each other, then the ones before them."""
    ours = defaultdict(list)
    for event in simulated:
        ours[event["type"], event["description"]].append(event)
    for event in recorded:
        if same := ours[event["type"], event["description"]]:
            yield EVENT, str(event["id"]), str(same.pop(0)["id"])


def _identity(shown: Any, index: int) -> Any:
    """The name of an object in a list, with the architecture of an image; or its place."""
    if isinstance(shown, dict):
        names = (shown[name] for name in ("hostname", "mac_address", "name", "cidr") if name in shown)
        return next(((name, shown.get("architecture")) for name in names), index)
    return index
