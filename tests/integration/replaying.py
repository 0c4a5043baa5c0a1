"""Runs the server with a recorded region: it follows an operation, and a second server reads the operation later."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from simulator.tests.recordings import Recording
from tests.integration.driver import MODERN, Driver, Message, serving_stdio
from tests.integration.player import API_KEY, Player, ReceivedRequest, playing
from tests.recorded_operations import ended_at, operation_of

SPEED = 10.0
"""Recorded seconds per second. Frames are at least 0.5 s apart, which is one poll interval at this speed."""
LONGEST_WAIT = 100.0
"""Seconds that a call waits, on a machine that is busy with other tests: shorter than :data:`TIMEOUT`. Recordings take
two or three."""
NO_EFFECT_WAIT = 6.0
"""The same if the request had no effect: the server may wait a minute for an effect."""
MAX_POLLS = 30
"""The number of polls within which the server must notice the end. The clock stops for these polls, which take about
6 s on an idle machine: the server polls less often while nothing happens."""
TIMEOUT = 120.0
"""Seconds to wait for a response, on a machine that is busy with other tests."""
SECRET = "shared by the processes of a test"
TOKEN = "followed"
TAKE_OVER = "take_over"
"""The argument of some tools that permits using another user's machine."""
ERROR = "io.github.maas-mcp/error"

STATES = {"operation_reverted": "reverted", "machine_gone": "gone", "deadline_exceeded": "timed_out"}
"""The state of an operation after an error with this code. Any other code means that it failed."""


@dataclass(frozen=True)
class Reported:
    """The server's report of an operation."""

    state: str
    headline: str
    """The error's message, or the summary of the result."""
    hint: str = ""
    maas_says: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    operation_id: str | None = None

    @property
    def text(self) -> str:
        """The whole report."""
        return "\n".join([self.headline, self.maas_says, self.hint, str(dict(self.result))])


@dataclass(frozen=True)
class Replay:
    """An operation that was followed to its end, and read again later."""

    arguments: Mapping[str, Any]
    """The arguments of the tool."""
    posts: tuple[ReceivedRequest, ...]
    """The requests that changed state while the server followed the operation."""
    unanswerable: tuple[str, ...]
    """Requests that the recording cannot answer."""
    progress: tuple[Message, ...]
    reported: Reported
    polls: int
    """The number of event polls after the end of the run."""
    later_report: Reported
    """The report of a new server process after the end of the recording."""

    @property
    def messages(self) -> list[str]:
        """The progress messages, in order."""
        return [each.get("message", "") for each in self.progress]

    @property
    def text(self) -> str:
        """All progress messages and the final report."""
        return "\n".join([*self.messages, self.reported.text])


def replay(recording: Recording) -> Replay:
    """Start and follow the recorded operation through its tool, then play it again and read it only at the end."""
    operation = operation_of(recording).name
    wait = LONGEST_WAIT if recording.took_effect else NO_EFFECT_WAIT
    player = Player(recording, SPEED, ended_at(recording), MAX_POLLS)
    with playing(player) as url:
        with _serving(url) as server:
            arguments = _arguments(server, recording)
            reported = _call(server, operation, TOKEN, **arguments, wait_seconds=wait)
            polls, posts, progress = player.polls, tuple(player.posts), tuple(server.progress(TOKEN))
            player.rewind()
            started = later_report = _call(server, operation, None, **arguments, wait_seconds=0)
            player.skip_to_the_end()
        if started.operation_id:  # otherwise MAAS's response to the request ended it
            with _serving(url) as another:
                later_report = _call(another, "maas_get_operation", None, operation_id=started.operation_id)
        return Replay(arguments, posts, tuple(player.unanswerable), progress, reported, polls, later_report)


def _serving(url: str) -> AbstractContextManager[Driver]:
    # Clients of this revision need no handshake, whose timeout would be shorter than this module's.
    return serving_stdio(url, API_KEY, MODERN, handshake=False, MAAS_MCP_SECRET=SECRET)


def form_of(recording: Recording, arguments: Mapping[str, Any]) -> dict[str, str]:
    """The part of the recorded form that the tool's arguments can express, without false values."""
    return {name: value for name, value in recording.start.form if name in arguments and value != "false"}


def _arguments(server: Driver, recording: Recording) -> dict[str, Any]:
    """Convert the recorded form to arguments of the tool, by its published schema."""
    tools = _result(server, server.start_request("tools/list"))["tools"]
    properties = next(each for each in tools if each["name"] == operation_of(recording).name)["inputSchema"][
        "properties"
    ]
    owner = recording.machines[0]["owner"]
    own = {name: _argument(properties[name], value) for name, value in recording.start.form if name in properties}
    taken = {TAKE_OVER: True} if TAKE_OVER in properties and owner not in {None, recording.start.username} else {}
    return {"system_id": recording.system_id, **own, **taken}


def _argument(schema: Mapping[str, Any], text: str) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return text.split(",")
    if kind == "boolean":
        return text == "true"
    return int(text) if kind == "integer" else text


def _call(server: Driver, tool: str, token: str | None, **arguments: Any) -> Reported:
    return _parse_result(_result(server, server.start_call(tool, token, **arguments)))


def _result(server: Driver, request_id: int) -> Message:
    answer = server.wait(request_id, TIMEOUT)
    assert "result" in answer, answer
    result: Message = answer["result"]
    return result


def _parse_result(result: Message) -> Reported:
    """Parse the result of a call: an error, or an operation report."""
    if result.get("isError"):
        error = result["_meta"][ERROR]
        return _parse_error(STATES.get(error["code"], "failed"), error)
    report = result["structuredContent"]
    if report.get("error"):
        return _parse_error(report["state"], report["error"])
    summary = result["content"][0]["text"]
    return Reported(report["state"], summary, result=report["result"] or {}, operation_id=report["operation_id"])


def _parse_error(state: str, error: Mapping[str, Any]) -> Reported:
    steps = [f"{step['why']}: {step['tool']}" for step in error["next_steps"]]
    return Reported(state, error["message"], "\n".join([error["hint"] or "", *steps]), error["maas_says"] or "")
