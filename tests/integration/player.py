"""Plays a recording of a region over HTTP: its states change as time passes after the start of the operation.

The clock stays at the first frame until the request that starts the operation arrives. It then runs ``speed`` times as
fast as the recording. The player answers the start with the recorded response at the recorded time, and other requests
from the recorded frames.
"""

import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from simulator.tests.recordings import JSON, Answer, Moment, Recording

TIMEOUT = 60.0
"""Seconds to wait for the player to start or stop."""
CLOCK_INTERVAL = 0.005
"""Seconds between two reads of the clock."""
API_KEY = "consumer:token:secret"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PLAIN_USERS = frozenset({"alice"})
"""Users of the recorded regions that are not administrators."""
MAX_EVENTS = 1000


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the player received."""

    t: float
    """The time of the recording, in seconds."""
    method: str
    path: str
    op: str | None
    query: str
    form: tuple[tuple[str, str], ...]


@dataclass
class Player:
    """Plays one recording from its start."""

    recording: Recording
    speed: float
    hold_at: float = math.inf
    """The recorded time at which the clock stops until the client has polled events ``hold_polls`` times."""
    hold_polls: int = 0
    polls: int = 0
    """The number of these polls so far."""
    requests: list[ReceivedRequest] = field(default_factory=list)
    """Every request, oldest first."""
    unanswerable: list[str] = field(default_factory=list)
    """Requests that the recording cannot answer."""
    _started: float | None = None
    _skipped: float = 0.0

    @property
    def t(self) -> float:
        """The time of the recording in seconds, minus infinity before the start."""
        return min(self._clock, self.hold_at) if self.polls < self.hold_polls else self._clock

    @property
    def _clock(self) -> float:
        if self._started is None:
            return -math.inf
        return (time.monotonic() - self._started) * self.speed + self._skipped

    @property
    def now(self) -> Moment:
        """The recorded state at the current time."""
        return self.recording.at(self.t)

    @property
    def posts(self) -> list[ReceivedRequest]:
        """The requests that change state."""
        return [each for each in self.requests if each.method != "GET"]

    def rewind(self) -> None:
        """Return to the state before the start of the operation."""
        self._started, self._skipped, self.polls = None, 0.0, 0
        self.requests.clear()

    def skip_to_the_end(self) -> None:
        """Move the clock to the end of the recording."""
        assert self._started is not None, "the operation was not started"
        self._skipped += self.recording.length
        self.polls = self.hold_polls

    def app(self) -> Starlette:
        """The region as an ASGI application."""
        root = "/MAAS/api/2.0"
        routes = {
            "/version/": self._version,
            "/users/": self._users,
            "/machines/": self._machines,
            "/machines/{system_id}/": self._machine,
            "/events/": self._events,
            "/nodes/{system_id}/results/{alias}/": self._results,
        }
        known = [Route(f"{root}{path}", self._recorded(answer), methods=["GET"]) for path, answer in routes.items()]
        start = Route(f"{root}/machines/{{system_id}}/", self._post, methods=["POST"])
        fallback = Route("/{path:path}", self._recorded(self._unanswerable), methods=["GET", "POST", "PUT", "DELETE"])
        return Starlette(routes=[*known, start, fallback])

    def _recorded(self, answer: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            self._record(request)
            response: Response = answer(request)
            return response

        return endpoint

    def _record(self, request: Request, form: Sequence[tuple[str, str]] = ()) -> None:
        query, op = request.url.query, request.query_params.get("op")
        received = ReceivedRequest(self.t, request.method, request.url.path, op, query, tuple(form))
        self.requests.append(received)

    async def _post(self, request: Request) -> Response:
        """Answer the start once, after the recorded delay."""
        recording = self.recording
        self._record(request, parse_qsl((await request.body()).decode()))
        is_start = request.path_params["system_id"] == recording.system_id
        if self._started is not None or not is_start or request.query_params.get("op") != recording.start.op:
            return self._unanswerable(request)
        self._started = time.monotonic()
        while self.t < recording.started_at:  # noqa: ASYNC110 - another thread can skip to the end
            await anyio.sleep(CLOCK_INTERVAL)
        return _recorded_response(recording.start.answer)

    def _version(self, _request: Request) -> Response:
        return JSONResponse({"capabilities": [], "version": self.recording.maas, "subversion": ""})

    def _users(self, request: Request) -> Response:
        if request.query_params.get("op") != "whoami":
            return self._unanswerable(request)
        name = self.recording.start.username
        return JSONResponse({"username": name, "email": "", "is_local": True, "is_superuser": name not in PLAIN_USERS})

    def _machine(self, request: Request) -> Response:
        if "op" in request.query_params:
            return self._unanswerable(request)
        if request.path_params["system_id"] != self.recording.system_id:
            return PlainTextResponse("No Machine matches the given query.", HTTPStatus.NOT_FOUND)
        return _recorded_response(self.now.machine)

    def _machines(self, request: Request) -> Response:
        filters = parse_qs(request.url.query)
        machine = self.now.machine
        if machine.status == HTTPStatus.NOT_FOUND:
            return JSONResponse([])
        if machine.json is None:
            return _recorded_response(machine)
        fields = {"id": "system_id", "system_id": "system_id", "owner": "owner", "hostname": "hostname"}
        status = machine.json["status_name"].lower().replace(" ", "_")
        values = {"status": status, **{name: machine.json[of] for name, of in fields.items()}}
        if not filters.keys() <= values.keys():
            return self._unanswerable(request)
        fits = all(values[name] in wanted for name, wanted in filters.items())
        return JSONResponse([machine.json] if fits else [])

    def _events(self, request: Request) -> Response:
        query = parse_qs(request.url.query)
        if query.keys() - {"op", "id", "level", "limit", "after", "before"} or query.get("op") != ["query"]:
            return self._unanswerable(request)
        self._count_poll()
        level, limit = query.get("level", ["INFO"])[0], int(query.get("limit", ["100"])[0])
        if level not in LEVELS:
            return PlainTextResponse(f"Unrecognised log level: {level}", HTTPStatus.BAD_REQUEST)
        if limit > MAX_EVENTS or {"after", "before"} <= query.keys():
            return PlainTextResponse("", HTTPStatus.BAD_REQUEST)
        found = [
            event
            for event in self._known_events
            if event["node"] in query.get("id", [event["node"]])
            and event["level"] in LEVELS[LEVELS.index(level) :]
            and event["id"] > int(query.get("after", ["-1"])[0])
            and event["id"] < int(query.get("before", [event["id"] + 1])[0])
        ]
        count = max(limit, 1)
        page = found[:count] if "after" in query else found[-count:]
        return JSONResponse({"count": len(page), "events": page[::-1], "next_uri": None, "prev_uri": None})

    def _count_poll(self) -> None:
        late = self._clock - self.hold_at
        if late >= 0:
            self.polls += 1
            self._skipped -= late if self.polls == self.hold_polls else 0.0  # the clock continues from where it stopped

    @property
    def _known_events(self) -> tuple[JSON, ...]:
        """The events that MAAS still has. MAAS 3.7.3 deletes them together with their machine (recorded)."""
        now = self.now
        gone = now.machine.status == HTTPStatus.NOT_FOUND
        return () if gone else (self._newest_before, *now.events)

    @property
    def _newest_before(self) -> JSON:
        """The newest event before the start. Only its id was recorded; its text is the machine's status message."""
        machine = self.recording.machines[0]
        what, _, more = (machine["status_message"] or "").partition(" - ")
        return {
            "username": "unknown",
            "node": self.recording.system_id,
            "hostname": machine["hostname"],
            "id": self.recording.cursor,
            "level": "INFO",
            "created": "Sun, 01 Nov. 2026 00:00:00",
            "type": what,
            "description": more,
        }

    def _results(self, request: Request) -> Response:
        kind = request.path_params["alias"].removeprefix("current-")
        moment = self.now
        machine = moment.machine.json
        if machine is None or request.path_params["system_id"] != self.recording.system_id:
            return PlainTextResponse("No Node matches the given query.", HTTPStatus.NOT_FOUND)
        number = machine.get(f"current_{kind}_result_id")
        known = moment.scripts.get(kind)
        if known is not None and (known.json is None or known.json["id"] == number):
            return _recorded_response(known)
        if number is None:
            text = f"No current {kind} script set exists for this node."
            return PlainTextResponse(text, HTTPStatus.BAD_REQUEST)
        return JSONResponse({"id": number, "status": -1, "status_name": "Unknown", "results": []})  # not recorded

    def _unanswerable(self, request: Request) -> Response:
        self.unanswerable.append(f"{request.method} {request.url.path}?{request.url.query}")
        return PlainTextResponse(f"Unknown API endpoint: {request.url.path}.", HTTPStatus.NOT_FOUND)


def _recorded_response(answer: Answer) -> Response:
    headers = dict(answer.headers or {})
    if isinstance(answer.body, str):
        return PlainTextResponse(answer.body, answer.status, headers)
    return JSONResponse(answer.body, answer.status, headers)


@contextlib.contextmanager
def playing(player: Player) -> Iterator[str]:
    """Play a recording on a free port of 127.0.0.1. Yields the region's URL."""
    config = uvicorn.Config(player.app(), log_level="critical", access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="player", daemon=True)
        thread.start()
        deadline = time.monotonic() + TIMEOUT
        while not server.started:
            assert thread.is_alive(), "the player did not start"
            assert time.monotonic() < deadline, "the player did not start"
            time.sleep(CLOCK_INTERVAL)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/MAAS"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(TIMEOUT)
