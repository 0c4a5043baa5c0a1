"""Asks the user on the terminal the server's questions about a call, such as before it erases disks."""

import os
import sys
from collections.abc import Callable
from typing import Any, Final

import anyio
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

MAX_ANSWER: Final = 4096
"""Maximum bytes of a line that a terminal passes on."""
YES: Final = frozenset({"y", "yes"})


def can_ask() -> bool:
    """Whether a user can answer: questions and answers need a terminal."""
    return sys.platform != "win32" and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


class TerminalAsker:
    """Shows the server's questions, and answers them with the text that the user types.

    Args:
        show: Shows a line.
        pause: Stops drawing bars, until there is more progress.
    """

    def __init__(self, show: Callable[[str], None], pause: Callable[[], None]) -> None:
        self._show = show
        self._pause = pause
        self.is_asking = False
        """Whether a question has not been answered."""

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG002
        """Ask for each field of the server's form. An empty answer and the end of the input decline."""
        if not isinstance(params, ElicitRequestFormParams):
            return ElicitResult(action="decline")
        self._pause()
        self._show(params.message)
        content: dict[str, Any] = {}
        for name, field in params.requested_schema.get("properties", {}).items():
            typed = await self._read(_prompt(name, field))
            if not typed:
                return ElicitResult(action="decline")
            content[name] = _value(typed, field)
        return ElicitResult(action="accept", content=content)

    async def _read(self, prompt: str) -> str:
        import termios  # noqa: PLC0415 - missing on Windows

        terminal = sys.stdin.fileno()
        termios.tcflush(terminal, termios.TCIFLUSH)  # text that was typed before the question does not answer it
        print(prompt, end=" ", file=sys.stderr, flush=True)  # noqa: T201 - a prompt has no line break
        self.is_asking = True
        try:
            await anyio.wait_readable(terminal)
        except BaseException:
            print(file=sys.stderr)  # noqa: T201 - what follows begins on a line of its own
            raise
        self.is_asking = False
        return os.read(terminal, MAX_ANSWER).decode(errors="replace").strip()


def _prompt(name: str, field: dict[str, Any]) -> str:
    choices = f" ({', '.join(field['enum'])})" if "enum" in field else ""
    kind = " [y/N]" if field.get("type") == "boolean" else ""
    return f"{(field.get('description') or name).removesuffix('.')}{choices}{kind}:"


def _value(typed: str, field: dict[str, Any]) -> Any:
    """The typed value in the form of the field. The server checks it."""
    match field.get("type"):
        case "boolean":
            return typed.lower() in YES
        case "array":
            return [each.strip() for each in typed.split(",")]
        case "integer" | "number":
            try:
                return float(typed)
            except ValueError:
                return typed
    return typed
