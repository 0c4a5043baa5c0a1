"""Snippets of the documentation, and a shell for its console snippets."""

import os
import re
import shlex
import string
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from markdown_it import MarkdownIt

from tests.integration.driver import command
from tests.integration.server_process import run_to_end

ROOT = Path(__file__).parents[2]
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+) -->\s*")
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
ANY = "…"
"""Matches any text in a line, or any number of lines if it is alone in a line."""
DEFAULT_SPEED, TEST_SPEED = "60 times", "180 times"
"""The simulator's default speed, which pages show, and the speed in these tests."""
PROGRAMS = {
    "maas-mcp": command(),
    "maas-simulator": [sys.executable, "-m", "maas_simulator"],
    "curl": ["curl"],
}
"""The programs that snippets may run, with their real commands."""
PORTS = {"MAAS_URL": "--port", "CONTROL_URL": "--control-port"}
"""The variables that the simulator prints, and the options that set their ports."""
COMMAND_TIMEOUT = 300.0
"""Time limit for one command, in seconds."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None
    """The reason why it is not run, if there is one."""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return every page of the documentation."""
    written = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    return sorted([*written, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "simulator/README.md"))])


def snippets(page: Path) -> list[Snippet]:
    """Return the snippets of a page, in order, without directives such as ``{toctree}``."""
    name = str(page.relative_to(ROOT))
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    found = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "fence" and token.map and not token.info.startswith("{"):
            mark = NOT_RUN.fullmatch(before.content) if before and before.type == "html_block" else None
            reason = mark["reason"] if mark else None
            found.append(Snippet(name, token.map[0] + 1, token.info, token.content, reason))
    return found


@dataclass(frozen=True)
class Command:
    """A command of a console snippet, with the lines shown below it."""

    line: str
    shown: tuple[str, ...]


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a console snippet."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.replace("\\\n", " ").splitlines()
        yield Command(command, tuple(shown))


def matches(shown: tuple[str, ...], output: str) -> bool:
    """Return whether the output matches the lines shown."""
    pattern = "".join(
        r"(?:.*\n)*" if line == ANY else ".*".join(map(re.escape, line.rstrip().split(ANY))) + r"[ ]*\n"
        for line in shown
    )
    return re.fullmatch(pattern, output.rstrip("\n") + "\n") is not None


class Shell:
    """Runs the commands of one page: ``maas-mcp``, ``maas-simulator``, ``curl``, ``export`` and ``echo $?``.

    ``<<<`` gives a command a text on standard input, in which variables are replaced.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._code: int | None = None
        self._simulator: subprocess.Popen[str] | None = None
        self._addresses: dict[str, str] = {}
        """The real addresses, by the addresses that the page shows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_simulator()

    def run(self, snippet: Snippet) -> None:
        """Run a snippet. A command may fail only if the page shows its exit code next."""
        for each in commands(snippet.text):
            if each.line == "echo $?":
                output, self._code = f"{self._code}\n", None
            else:
                self._check_code(snippet)
                output = self._run(each.line)
            if each.shown:
                assert matches(each.shown, output), f"{snippet.place}: $ {each.line}\n{output}"
        self._check_code(snippet)

    def _check_code(self, snippet: Snippet) -> None:
        assert self._code in (None, 0), f"{snippet.place}: exit code {self._code}, which the page does not show"

    def _run(self, line: str) -> str:
        program, *arguments = shlex.split(line)
        given = None
        if "<<<" in arguments:
            *arguments, _, text = arguments
            given = string.Template(text).substitute(self._environment)
        if program == "export":
            values = dict(argument.split("=", 1) for argument in arguments)
            self._environment |= {name: self._with_real_addresses(value) for name, value in values.items()}
            return ""
        assert program in PROGRAMS, f"cannot run {line!r}: say why with <!-- not run: REASON -->"
        if program == "maas-simulator" or arguments[:1] == ["simulate"]:
            return self._simulate(program, arguments)
        done = run_to_end(
            [*PROGRAMS[program], *map(self._with_real_addresses, arguments)],
            self._environment,
            given or "",
            timeout=COMMAND_TIMEOUT,
            merged=True,
            fork=program == "maas-mcp",
        )
        self._code = done.returncode
        return self._with_shown_addresses(done.stdout)

    def _simulate(self, program: str, arguments: list[str]) -> str:
        """Start a region on a free port, and wait until it prints its address."""
        self._stop_simulator()
        self._addresses.clear()
        shown = {name: port for name, option in PORTS.items() if (port := _pop_option(arguments, option))}
        if "CONTROL_URL" in shown:
            arguments += ["--control-port", "0"]
        if not {"--speed", "--world"} & set(arguments):
            arguments += ["--speed", TEST_SPEED.split(maxsplit=1)[0]]
        self._simulator = subprocess.Popen(
            [*PROGRAMS[program], *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._simulator.stdout
        lines: list[str] = []
        for line in self._simulator.stdout:
            lines.append(line)
            name, equals, value = line.strip().partition("=")
            if equals and name.startswith("MAAS_"):
                self._environment[name] = value
            if name in shown and (found := ADDRESS.search(value)):
                self._addresses[f"127.0.0.1:{shown[name]}"] = found[0]
            if name == ("CONTROL_URL" if "CONTROL_URL" in shown else "MAAS_API_KEY"):
                break
        output = "".join(lines)
        assert len(self._addresses) == len(shown), output
        return self._with_shown_addresses(output)

    def _stop_simulator(self) -> None:
        if self._simulator:
            with self._simulator as process:
                process.terminate()
            assert process.returncode == 0

    def _with_real_addresses(self, value: str) -> str:
        for shown, real in self._addresses.items():
            value = value.replace(shown, real)
        return value

    def _with_shown_addresses(self, output: str) -> str:
        """Return the output with the ports and the speed that pages show."""
        output = output.replace(TEST_SPEED, DEFAULT_SPEED)
        for shown, real in self._addresses.items():
            output = output.replace(real, shown)
        return output


def _pop_option(arguments: list[str], option: str) -> str | None:
    """Remove an option and return its value: tests use a free port instead of the one in the page."""
    if option not in arguments:
        return None
    at = arguments.index(option)
    value = arguments[at + 1]
    del arguments[at : at + 2]
    return value
