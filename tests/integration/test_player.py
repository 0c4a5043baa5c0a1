"""The player of recordings shows only recorded states, in MAAS's order."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.tests.recordings import read
from tests.integration.player import Player, playing

SPEED = 0.001
"""Recorded seconds per second: so slow that only skipping changes the state."""

NODE = "4y3h7n"
READY = {"system_id": NODE, "hostname": "node01", "status_name": "Ready", "status_message": "Ready", "owner": None}
DEPLOYING = {**READY, "status_name": "Deploying", "owner": "alice", "current_installation_result_id": 7}


def event(number: int, level: str = "INFO") -> dict[str, Any]:
    return {"id": number, "node": NODE, "level": level, "type": "Deploying", "description": ""}


FRAMES: list[dict[str, Any]] = [
    {"t": 0, "machine": READY, "cursor": 10},
    {
        "t": 0,
        "post": {
            "status": 503,
            "url": f"/MAAS/api/2.0/machines/{NODE}/?op=deploy",
            "body": "distro_series=noble&comment=in+memory",
            "machine": "no rack",
            "headers": [["Retry-After", "10"]],
            "as": "alice",
        },
    },
    {"t": 0, "machine": DEPLOYING, "events": [event(13), event(12, "DEBUG")]},
    {"t": 2, "events": [event(15)], "scripts_installation": {"id": 7, "status_name": "Running", "results": []}},
    {"t": 3, "machine_error": {"status": 404, "text": "No Machine matches the given query."}},
]

Ask = Callable[..., httpx.Response]


@pytest.fixture
def played(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Player, Ask]]:
    """A player of the first frames of a recording, all by default, and a function that sends it requests."""
    frames = FRAMES[: getattr(request, "param", len(FRAMES))]
    path = tmp_path / "made-up.json"
    path.write_text(json.dumps({"name": "made-up", "maas": "3.7.3", "system_id": NODE, "frames": frames}))
    player = Player(read(path), SPEED)
    with playing(player) as url, httpx.Client(base_url=f"{url}/api/2.0/") as client:
        yield player, client.request


def start(ask: Ask) -> httpx.Response:
    return ask("POST", f"machines/{NODE}/?op=deploy", data={"distro_series": "noble"})


def ids(response: httpx.Response) -> list[int]:
    return [each["id"] for each in response.json()["events"]]


def test_nothing_changes_before_the_start(played: tuple[Player, Ask]) -> None:
    _, ask = played

    assert ask("GET", f"machines/{NODE}/").json() == READY
    assert ids(ask("GET", "events/?op=query&level=DEBUG")) == [10]
    assert ask("GET", f"nodes/{NODE}/results/current-installation/").status_code == 400


def test_the_start_gets_the_recorded_response_once(played: tuple[Player, Ask]) -> None:
    player, ask = played
    first, second = start(ask), start(ask)

    assert (first.status_code, first.text, first.headers["Retry-After"]) == (503, "no rack", "10")
    assert ask("GET", "users/?op=whoami").json()["username"] == "alice"
    assert [dict(each.form) for each in player.posts] == [{"distro_series": "noble"}] * 2
    assert second.status_code == 404
    assert player.unanswerable == [f"POST /MAAS/api/2.0/machines/{NODE}/?op=deploy"]


@pytest.mark.parametrize("played", [4], indirect=True)
def test_unchanged_values_persist_and_events_accumulate(played: tuple[Player, Ask]) -> None:
    player, ask = played
    start(ask)
    player.skip_to_the_end()

    assert ask("GET", f"machines/{NODE}/").json() == DEPLOYING
    assert [each["system_id"] for each in ask("GET", f"machines/?id=abc123&id={NODE}&status=deploying").json()] == [
        NODE
    ]
    assert ask("GET", "machines/?status=ready").json() == []
    assert ask("GET", f"nodes/{NODE}/results/current-installation/").json()["status_name"] == "Running"
    assert ids(ask("GET", "events/?op=query")) == [15, 13, 10]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("after=10&level=DEBUG", [15, 13, 12]),
        ("after=10&level=DEBUG&limit=2", [13, 12]),
        ("level=DEBUG&limit=2", [15, 13]),
        ("before=13&level=DEBUG", [12, 10]),
        ("limit=0", [15]),
        ("id=abc123", []),
    ],
)
@pytest.mark.parametrize("played", [4], indirect=True)
def test_events_are_limited_and_ordered_as_in_maas(played: tuple[Player, Ask], query: str, found: list[int]) -> None:
    player, ask = played
    start(ask)
    player.skip_to_the_end()

    assert ids(ask("GET", f"events/?op=query&{query}")) == found


def test_a_deleted_machine_is_not_found(played: tuple[Player, Ask]) -> None:
    player, ask = played
    start(ask)
    player.skip_to_the_end()

    assert ask("GET", f"machines/{NODE}/").status_code == 404
    assert ask("GET", f"machines/?id={NODE}").json() == []
    assert ask("GET", f"nodes/{NODE}/results/current-installation/").status_code == 404
    assert ids(ask("GET", "events/?op=query&level=DEBUG")) == []


def test_a_rewound_recording_starts_from_its_first_frame(played: tuple[Player, Ask]) -> None:
    player, ask = played
    start(ask)
    player.skip_to_the_end()
    player.rewind()

    assert ask("GET", f"machines/{NODE}/").json() == READY
    assert player.posts == []


@pytest.mark.parametrize("played", [4], indirect=True)
def test_the_clock_stops_until_the_client_has_polled_often_enough(played: tuple[Player, Ask]) -> None:
    player, ask = played
    player.hold_at, player.hold_polls, player.speed = 0.5, 3, 1000.0
    start(ask)
    polls: list[list[int]] = []
    while not polls or polls[-1] == [13, 10]:
        polls.append(ids(ask("GET", "events/?op=query")))

    assert len(polls) > 3
    assert polls[-1] == [15, 13, 10]
