"""Compares two responses: status, headers, error messages, and all of the JSON.

Keys, types, nulls and lengths always count. Values count unless their key is incidental.
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from simulator.tests.contract.recording import Answer

HEADERS = (
    *("content-type", "allow", "retry-after", "www-authenticate", "location", "vary"),
    *("transfer-encoding", "content-encoding", "etag", "last-modified", "set-cookie"),
)
"""The headers that matter to a client. MAAS never sent the last four."""

_CURSOR = re.compile(r"\b(after|before)=\d+")
_URI_ID = re.compile(r"/\d+\b")


def differences(recorded: Answer, simulated: Answer, incidental: Mapping[str, str]) -> list[str]:
    """Describe the differences between two responses. Only the types of ``incidental`` keys count."""
    return [
        *_status(recorded, simulated),
        *_headers(recorded, simulated),
        *_text(recorded, simulated),
        *_json(recorded.json, simulated.json, "", incidental),
    ]


def _status(recorded: Answer, simulated: Answer) -> Iterator[str]:
    if recorded.status != simulated.status:
        yield f"status {simulated.status} and not {recorded.status}: {simulated.text or ''}"[:160]


def _headers(recorded: Answer, simulated: Answer) -> Iterator[str]:
    for name in HEADERS:
        wanted, got = recorded.headers.get(name), simulated.headers.get(name)
        if name == "allow" and wanted and got:  # Its order changes whenever MAAS starts.
            wanted, got = (", ".join(sorted(value.split(", "))) for value in (wanted, got))
        if wanted != got:
            yield f"{name} {got!r} and not {wanted!r}"


def _text(recorded: Answer, simulated: Answer) -> Iterator[str]:
    """Compare error messages. Script output may differ."""
    if recorded.text is None or recorded.status < HTTPStatus.BAD_REQUEST:
        return
    if recorded.text != (simulated.text or ""):
        yield f"says {(simulated.text or '')[:200]!r} and not {recorded.text[:200]!r}"


def _json(recorded: Any, simulated: Any, path: str, incidental: Mapping[str, str]) -> Iterator[str]:
    if type(recorded) is not type(simulated):
        yield f"{path} is {_short(simulated)} and not {_short(recorded)}"
    elif isinstance(recorded, dict) and "next_uri" in recorded:
        yield from _events(recorded, simulated, path, incidental)
    elif isinstance(recorded, dict):
        yield from _object(recorded, simulated, path, incidental)
    elif isinstance(recorded, list):
        yield from _list(recorded, simulated, path, incidental)
    elif path.rpartition(".")[2] not in incidental and _plain(recorded) != _plain(simulated):
        yield f"{path} is {_short(simulated)} and not {_short(recorded)}"


def _object(
    recorded: dict[str, Any], simulated: dict[str, Any], path: str, incidental: Mapping[str, str]
) -> Iterator[str]:
    if missing := sorted(recorded.keys() - simulated.keys()):
        yield f"{path} lacks {', '.join(missing)}"
    if extra := sorted(simulated.keys() - recorded.keys()):
        yield f"{path} has {', '.join(extra)}"
    for key in (key for key in recorded if key in simulated):
        yield from _json(recorded[key], simulated[key], f"{path}.{key}", incidental)


def _list(recorded: list[Any], simulated: list[Any], path: str, incidental: Mapping[str, str]) -> Iterator[str]:
    recorded, simulated = _sorted(recorded, path), _sorted(simulated, path)
    if len(recorded) != len(simulated):
        yield f"{path} has {len(simulated)} elements and not {len(recorded)}"
    for number, (one, other) in enumerate(zip(recorded, simulated, strict=False)):
        # The path of an element ends in its list's name, so that an incidental list has incidental elements.
        yield from _json(one, other, f"{path}[{number}]" if isinstance(one, dict | list) else path, incidental)


def _sorted(elements: list[Any], path: str) -> list[Any]:
    """Sort the lists whose order in MAAS is arbitrary."""
    if path.endswith(".tag_names"):
        return sorted(elements)
    if elements and isinstance(elements[0], dict) and "last_ping" in elements[0]:
        return sorted(elements, key=lambda scripts: int(scripts["id"]))
    if elements and isinstance(elements[0], dict) and "script_result" in elements[0]:
        return sorted(elements, key=lambda result: [result[name] for name in ("result_type", "name")])
    return elements


def _events(
    recorded: dict[str, Any], simulated: dict[str, Any], path: str, incidental: Mapping[str, str]
) -> Iterator[str]:
    """Compare the milestones in their order. The events of cloud-init in between have no fixed order."""
    yield from _object({**recorded, "events": []}, {**simulated, "events": []}, path, incidental)
    pairs = zip(_milestones(recorded["events"]), _milestones(simulated["events"]), strict=False)
    for number, (one, other) in enumerate(pairs):
        yield from _object(one, other, f"{path}.events[{number}]", incidental)


def _milestones(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for event in events:
        if event["type"] != "Node status event" and "'cloudinit'" not in event["description"]:
            yield event


def _plain(value: Any) -> Any:
    """Remove cursors and ids from addresses, which differ between regions."""
    return _URI_ID.sub("/N", _CURSOR.sub(r"\1=N", value)) if isinstance(value, str) and value[:6] == "/MAAS/" else value


def _short(value: Any) -> str:
    return repr(value)[:80]
