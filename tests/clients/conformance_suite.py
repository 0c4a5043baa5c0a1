"""The official MCP conformance suite: runs it against a server, and reads its summary."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.clients.npm import NpmPackages

RUN_LIMIT: Final = 900
"""Seconds for a run, on a busy machine."""
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


def run(npm: NpmPackages, url: str, results: Path, arguments: Sequence[str]) -> Outcome:
    """Run scenarios against the server at ``url``. The suite writes details into the folder ``results``."""
    command = [npm.node, npm.conformance, "server", "--url", url, "--output-dir", str(results), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
    summary = done.stdout.partition("=== SUMMARY ===")[2]
    return Outcome(done.returncode, tuple(_scenarios(summary)), done.stdout + done.stderr)


def _scenarios(summary: str) -> Iterator[Scenario]:
    for match in _SCENARIO.finditer(summary):
        yield Scenario(match["name"], int(match["passed"]), int(match["failed"]))
