"""A recorded region over HTTP: it shows the states of one recording, as time passes since the operation was started.

Time stands still at the first frame until the request that starts the operation comes in; then it runs ``speed`` times
as fast as it did. That request is answered as it was, when it was. All else is answered from what the frames hold.
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

PATIENCE = 60.0
"""Seconds that the player may take to start or to stop."""
GLANCE = 0.005
"""Seconds between two looks at the clock."""
API_KEY = "consumer:token:secret"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PLAIN_USERS = frozenset({"alice"})
"""Users of the recorded regions that are no administrators."""
MOST_EVENTS = 1000


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    t: float
    """When, in the recording."""
    method: str
    path: str
    op: str | None
    query: str
    form: tuple[tuple[str, str], ...]


@dataclass
class Player:
    """Plays one recording: each time once, from its start."""

    recording: Recording
    speed: float
    holds_at: float = math.inf
    """When the clock stands still once more, until somebody has asked for events ``holds_for`` times."""
    holds_for: int = 0
    looks: int = 0
    """How often that was, from then on."""
    asked: list[Asked] = field(default_factory=list)
    """Every request, oldest first."""
    unknown: list[str] = field(default_factory=list)
    """Requests that no recording can answer."""
    _started: float | None = None
    _skipped: float = 0.0

    @property
    def t(self) -> float:
        """The time in the recording; before the start, none of it has come."""
        return min(self._clock, self.holds_at) if self.looks < self.holds_for else self._clock

    @property
    def _clock(self) -> float:
        if self._started is None:
            return -math.inf
        return (time.monotonic() - self._started) * self.speed + self._skipped

    @property
    def now(self) -> Moment:
        """What there is to see."""
        return self.recording.at(self.t)

    @property
    def posts(self) -> list[Asked]:
        """The requests that change something."""
        return [each for each in self.asked if each.method != "GET"]

    def rewind(self) -> None:
        """Be as before the operation was started."""
        self._started, self._skipped, self.looks = None, 0.0, 0
        self.asked.clear()

    def skip_to_the_end(self) -> None:
        """Let everything that was recorded have happened."""
        assert self._started is not None, "the operation was not started"
        self._skipped += self.recording.length
        self.looks = self.holds_for

    def app(self) -> Starlette:
        """The region."""
        root = "/MAAS/api/2.0"
        routes = {
            "/version/": self._version,
            "/users/": self._users,
            "/machines/": self._machines,
            "/machines/{system_id}/": self._machine,
            "/events/": self._events,
            "/nodes/{system_id}/results/{alias}/": self._results,
        }
        known = [Route(f"{root}{path}", self._noting(answer), methods=["GET"]) for path, answer in routes.items()]
        start = Route(f"{root}/machines/{{system_id}}/", self._post, methods=["POST"])
        everything_else = Route(
            "/{path:path}", self._noting(self._unanswerable), methods=["GET", "POST", "PUT", "DELETE"]
        )
        return Starlette(routes=[*known, start, everything_else])

    def _noting(self, answer: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            self._note(request)
            response: Response = answer(request)
            return response

        return endpoint

    def _note(self, request: Request, form: Sequence[tuple[str, str]] = ()) -> None:
        query, op = request.url.query, request.query_params.get("op")
        asked = Asked(self.t, request.method, request.url.path, op, query, tuple(form))
        self.asked.append(asked)

    async def _post(self, request: Request) -> Response:
        """The start, which MAAS takes its time to answer; it is answered once."""
        recording = self.recording
        self._note(request, parse_qsl((await request.body()).decode()))
        is_start = request.path_params["system_id"] == recording.system_id
        if self._started is not None or not is_start or request.query_params.get("op") != recording.start.op:
            return self._unanswerable(request)
        self._started = time.monotonic()
        while self.t < recording.started_at:  # noqa: ASYNC110 - another thread may skip to the end meanwhile
            await anyio.sleep(GLANCE)
        return _sent(recording.start.answer)

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
        return _sent(self.now.machine)

    def _machines(self, request: Request) -> Response:
        filters = parse_qs(request.url.query)
        machine = self.now.machine
        if machine.status == HTTPStatus.NOT_FOUND:
            return JSONResponse([])
        if machine.json is None:
            return _sent(machine)
        shown = {"id": "system_id", "system_id": "system_id", "owner": "owner", "hostname": "hostname"}
        status = machine.json["status_name"].lower().replace(" ", "_")
        values = {"status": status, **{name: machine.json[of] for name, of in shown.items()}}
        if not filters.keys() <= values.keys():
            return self._unanswerable(request)
        fits = all(values[name] in wanted for name, wanted in filters.items())
        return JSONResponse([machine.json] if fits else [])

    def _events(self, request: Request) -> Response:
        query = parse_qs(request.url.query)
        if query.keys() - {"op", "id", "level", "limit", "after", "before"} or query.get("op") != ["query"]:
            return self._unanswerable(request)
        self._look()
        level, limit = query.get("level", ["INFO"])[0], int(query.get("limit", ["100"])[0])
        if level not in LEVELS:
            return PlainTextResponse(f"Unrecognised log level: {level}", HTTPStatus.BAD_REQUEST)
        if limit > MOST_EVENTS or {"after", "before"} <= query.keys():
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

    def _look(self) -> None:
        late = self._clock - self.holds_at
        if late >= 0:
            self.looks += 1
            self._skipped -= late if self.looks == self.holds_for else 0.0  # it goes on from where it stood

    @property
    def _known_events(self) -> tuple[JSON, ...]:
        """Those that MAAS still has: 3.7.3 deletes them together with their machine (recorded)."""
        now = self.now
        gone = now.machine.status == HTTPStatus.NOT_FOUND
        return () if gone else (self._newest_before, *now.events)

    @property
    def _newest_before(self) -> JSON:
        """The newest event before the start: only its id was recorded. What it says is by the machine's message."""
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
            return _sent(known)
        if number is None:
            text = f"No current {kind} script set exists for this node."
            return PlainTextResponse(text, HTTPStatus.BAD_REQUEST)
        return JSONResponse({"id": number, "status": -1, "status_name": "Unknown", "results": []})  # nobody read it

    def _unanswerable(self, request: Request) -> Response:
        self.unknown.append(f"{request.method} {request.url.path}?{request.url.query}")
        return PlainTextResponse(f"Unknown API endpoint: {request.url.path}.", HTTPStatus.NOT_FOUND)


def _sent(answer: Answer) -> Response:
    headers = dict(answer.headers or {})
    if isinstance(answer.body, str):
        return PlainTextResponse(answer.body, answer.status, headers)
    return JSONResponse(answer.body, answer.status, headers)


@contextlib.contextmanager
def playing(player: Player) -> Iterator[str]:
    """Play a recording on a free port of 127.0.0.1; yields the region's URL."""
    config = uvicorn.Config(player.app(), log_level="critical", access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="player", daemon=True)
        thread.start()
        deadline = time.monotonic() + PATIENCE
        while not server.started:
            assert thread.is_alive(), "the player did not start"
            assert time.monotonic() < deadline, "the player did not start"
            time.sleep(GLANCE)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/MAAS"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(PATIENCE)
