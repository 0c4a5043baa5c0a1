"""Invalid and unusual messages for an MCP server, from a seeded generator, so that a failure can be repeated."""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.integration.driver import MODERN, Message

DEEP: Final = 400
"""Levels of a deeply nested value."""
LONG: Final = 20_000
"""Characters of a long text."""
TEXTS: Final = (
    "",
    " ",
    "\x00",
    "\ud800",
    "\U0001f600",
    "../../etc/passwd",
    "node01",
    "%s%n",
    "null",
    "0",
    "-1",
    "x" * LONG,
    "\u202e\u0000\uffff",
    "a\nb\r\n\r\nc",
    "=?utf-8?b?eA==?=",
)
NUMBERS: Final = (0, -1, 1, 2**31, 2**53 + 1, -(2**63), 2**64, 10**400, 1e308, -0.0, 0.5, 1e-320)
METHODS: Final = (
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "resources/subscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "server/discover",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "rpc.discover",
    "",
    "tools/call\n",
)
"""Requests. ``subscriptions/listen`` is missing, because a valid one has no response before its end."""
NOTIFICATIONS: Final = (
    "notifications/cancelled",
    "notifications/progress",
    "notifications/initialized",
    "notifications/roots/list_changed",
    "notifications/unknown",
)
ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """One message."""

    line: bytes
    """The message as bytes, without a line break."""
    request_id: str | None
    """The id of a well-formed request, which must get one response. ``None`` for everything else."""
    method: str = ""


@dataclass
class Fuzz:
    """Generates messages for one era.

    Args:
        seed: The seed.
        revision: The protocol revision.
        tools: The published tools, whose arguments are fuzzed.
        texts: Further texts to use as values, such as ids of machines.
    """

    seed: int
    revision: str
    tools: Sequence[Message]
    texts: Sequence[str] = ()
    _random: random.Random = field(init=False)
    _number: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def messages(self, count: int) -> Iterator[Fuzzed]:
        """Yield ``count`` messages."""
        kinds: tuple[tuple[Callable[[], Fuzzed], int], ...] = (
            (self._call, 45),
            (self._request, 20),
            (self._notification, 8),
            (self._damaged, 17),
            (self._not_a_message, 10),
        )
        chosen = self._random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds], k=count)
        for make in chosen:
            yield make()

    def value(self, depth: int = 3) -> Any:
        """Any JSON value."""
        if not depth or self._random.random() < 0.7:
            if self._random.random() < 0.003:
                return self._deep()
            return self._random.choice((None, True, False, {}, [], *NUMBERS, *TEXTS, *TEXTS, *self.texts))
        if self._random.random() < 0.5:
            return [self.value(depth - 1) for _ in range(self._random.randrange(4))]
        keys = ("system_id", "_meta", "name", "x" * 300, "", "progressToken")
        return {self._random.choice(keys): self.value(depth - 1) for _ in range(self._random.randrange(4))}

    def _call(self) -> Fuzzed:
        tool = self._random.choice(self.tools)
        schema: Mapping[str, Any] = tool["inputSchema"].get("properties", {})
        arguments = {name: self.value() for name in schema if self._random.random() < 0.4}
        if self._random.random() < 0.3:
            arguments[self._random.choice(("_meta", "extra", "system_idd"))] = self.value()
        params: Message = {"name": tool["name"], "arguments": arguments}
        if self._random.random() < 0.1:
            params[self._random.choice(("name", "arguments", "_meta", "task"))] = self.value()
        if "wait_seconds" in schema and isinstance(params["arguments"] or {}, dict):
            # An operation that does start must not keep its call open.
            params["arguments"] = {**(params["arguments"] or {}), "wait_seconds": 0}
        return self._well_formed("tools/call", params)

    def _request(self) -> Fuzzed:
        params = self.value() if self._random.random() < 0.5 else {"name": self.value(), "uri": self.value()}
        return self._well_formed(self._random.choice(METHODS), params if isinstance(params, dict) else {"x": params})

    def _well_formed(self, method: str, params: Message) -> Fuzzed:
        self._number += 1
        request_id = f"fuzz-{self._number}"
        if self.revision == MODERN and self._random.random() < 0.95:
            params = {**params, "_meta": {**ENVELOPE, **({"progressToken": 1} if self._random.random() < 0.2 else {})}}
        return Fuzzed(self._encode({"id": request_id, "method": method, "params": params}), request_id, method)

    def _notification(self) -> Fuzzed:
        params = {"requestId": self.value(), "progressToken": self.value(), "progress": self.value()}
        return Fuzzed(self._encode({"method": self._random.choice(NOTIFICATIONS), "params": params}), None)

    def _damaged(self) -> Fuzzed:
        """A message with random changes to its bytes. Its id starts with another prefix."""
        line = bytearray(
            self._well_formed("tools/list", {"cursor": self.value()}).line.replace(b'"fuzz-', b'"damaged-')
        )
        for _ in range(self._random.randrange(1, 5)):
            at = self._random.randrange(len(line))
            match self._random.randrange(4):
                case 0:
                    line[at] = self._random.randrange(256)
                case 1:
                    del line[at : at + self._random.randrange(1, 20)]
                case 2:
                    line[at:at] = self._random.choice((b"\\ud800", b"[[", b"{", b"\xff\xfe", b'","', b"\x00"))
                case _:
                    del line[at:]
            line = line or bytearray(b"{")
        return Fuzzed(bytes(line).replace(b"\n", b" ").replace(b"\r", b" "), None)

    def _not_a_message(self) -> Fuzzed:
        """Other JSON, and messages with an invalid id, version or shape."""
        message: Any = self._random.choice(
            (
                self.value(),
                [self._plain(), self._plain()],
                {"jsonrpc": "1.0", "id": "old", "method": "ping"},
                {"jsonrpc": "2.0", "id": self.value(), "result": self.value()},
                {"jsonrpc": "2.0", "id": self.value(), "error": self.value()},
                {"jsonrpc": "2.0", "id": self._random.choice((None, True, 1.5, [], {})), "method": "ping"},
                {"jsonrpc": "2.0", "id": "no-method", "method": self._random.choice((None, 5, [], {}))},
                {"jsonrpc": "2.0", "id": "bad-params", "method": "ping", "params": self._random.choice((5, "x", [1]))},
            )
        )
        return Fuzzed(_dump(message), None)

    def _plain(self) -> Message:
        return {"jsonrpc": "2.0", "id": "in-a-batch", "method": "ping"}

    def _deep(self) -> Any:
        value: Any = "deep"
        for level in range(DEEP):
            value = [value] if level % 2 else {"x": value}
        return value

    def _encode(self, message: Message) -> bytes:
        return _dump({"jsonrpc": "2.0", **message})


def _dump(message: Any) -> bytes:
    return json.dumps(message).encode()
