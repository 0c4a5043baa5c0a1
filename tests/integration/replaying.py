"""The server with a recorded region: what it says while it follows an operation, and to a caller who asks late."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from simulator.tests.recordings import Recording
from tests.integration.driver import MODERN, Driver, Message, serving_stdio
from tests.integration.player import API_KEY, Asked, Player, playing
from tests.recorded_operations import ended_at, operation_of

SPEED = 10.0
"""Recorded seconds a second. Frames are half a second apart or more, which is then one interval of the polling."""
LONGEST = 100.0
"""Seconds after which the server answers in any case, on a machine that is busy with other tests: shorter than
:data:`PATIENCE`. What was recorded is over after two or three."""
UNCERTAIN = 6.0
"""The same where nothing came of the request: the server may wait for a minute to see whether it still does."""
LOOKS = 30
"""How often the server may ask for events once the run has ended, until it has noticed that. So long nothing else
happens in the region. On an idle machine these are some six seconds: it asks ever more seldom in a silence."""
PATIENCE = 120.0
"""Seconds after which the server counts as dead, on a machine that is busy with other tests."""
SECRET = "known to each process of a test"
TOKEN = "followed"
TAKE_OVER = "take_over"
"""The argument that allows to take another user's machine, where a tool has one."""
ERROR = "io.github.maas-mcp/error"

STATES = {"operation_reverted": "reverted", "machine_gone": "gone", "deadline_exceeded": "timed_out"}
"""The state that an operation is in after an error with this code; after any other it has failed."""


@dataclass(frozen=True)
class Reported:
    """What the server answered about an operation."""

    state: str
    headline: str
    """The error's message, or the summary of the result."""
    hint: str = ""
    maas_says: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    operation_id: str | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join([self.headline, self.maas_says, self.hint, str(dict(self.result))])


@dataclass(frozen=True)
class Replay:
    """An operation that was followed to its end, and asked for once more."""

    arguments: Mapping[str, Any]
    """What the tool was called with."""
    posts: tuple[Asked, ...]
    """The requests that changed something, while it was followed."""
    unknown: tuple[str, ...]
    """Requests that no recording can answer."""
    progress: tuple[Message, ...]
    reported: Reported
    looks: int
    """How often the server asked for events when the run had ended."""
    asked_late: Reported
    """What a process that had not seen any of it said, when everything that was recorded was over."""

    @property
    def messages(self) -> list[str]:
        """What progress said, in order."""
        return [each.get("message", "") for each in self.progress]

    @property
    def text(self) -> str:
        """All that was said while it was followed and at its end."""
        return "\n".join([*self.messages, self.reported.text])


def replay(recording: Recording) -> Replay:
    """Start the recorded operation through its tool and follow it; then the same for a caller who asks late."""
    operation = operation_of(recording).name
    wait = LONGEST if recording.took_effect else UNCERTAIN
    player = Player(recording, SPEED, ended_at(recording), LOOKS)
    with playing(player) as url:
        with _serving(url) as server:
            arguments = _arguments(server, recording)
            reported = _call(server, operation, TOKEN, **arguments, wait_seconds=wait)
            looks, posts, progress = player.looks, tuple(player.posts), tuple(server.progress(TOKEN))
            player.rewind()
            started = asked_late = _call(server, operation, None, **arguments, wait_seconds=0)
            player.skip_to_the_end()
        if started.operation_id:  # else MAAS's answer to the request was the end
            with _serving(url) as another:
                asked_late = _call(another, "maas_get_operation", None, operation_id=started.operation_id)
        return Replay(arguments, posts, tuple(player.unknown), progress, reported, looks, asked_late)


def _serving(url: str) -> AbstractContextManager[Driver]:
    # Clients of this revision need no handshake, for which the driver would not wait as long as here.
    return serving_stdio(url, API_KEY, MODERN, handshake=False, MAAS_MCP_SECRET=SECRET)


def form_of(recording: Recording, arguments: Mapping[str, Any]) -> dict[str, str]:
    """The recorded form, as far as the tool's arguments can say it; what is false is left out."""
    return {name: value for name, value in recording.start.form if name in arguments and value != "false"}


def _arguments(server: Driver, recording: Recording) -> dict[str, Any]:
    """The tool's arguments for the recorded request, by the schema that the server publishes."""
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
    return _told(_result(server, server.start_call(tool, token, **arguments)))


def _result(server: Driver, request_id: int) -> Message:
    answer = server.wait(request_id, PATIENCE)
    assert "result" in answer, answer
    result: Message = answer["result"]
    return result


def _told(result: Message) -> Reported:
    """What the result of a call says, or the report that it holds."""
    if result.get("isError"):
        error = result["_meta"][ERROR]
        return _of_error(STATES.get(error["code"], "failed"), error)
    report = result["structuredContent"]
    if report.get("error"):
        return _of_error(report["state"], report["error"])
    summary = result["content"][0]["text"]
    return Reported(report["state"], summary, result=report["result"] or {}, operation_id=report["operation_id"])


def _of_error(state: str, error: Mapping[str, Any]) -> Reported:
    steps = [f"{step['why']}: {step['tool']}" for step in error["next_steps"]]
    return Reported(state, error["message"], "\n".join([error["hint"] or "", *steps]), error["maas_says"] or "")
