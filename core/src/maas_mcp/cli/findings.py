"""What the doctor has found: a line for each check, with what to do, and a conclusion."""

from dataclasses import dataclass
from enum import Enum

import click

from maas_mcp.cli.common import EXIT_FAILURE, say
from maas_mcp.errors import MaasMcpError


class Mark(Enum):
    """What a check came to."""

    GOOD = ("✓", "green")
    DOUBTFUL = ("!", "yellow")
    BAD = ("✗", "red")
    SKIPPED = ("-", "bright_black")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    mark: Mark
    what: str
    detail: str
    hint: str | None = None


class Report:
    """Prints findings as they are made, and counts the bad and the doubtful ones."""

    def __init__(self) -> None:
        self.bad = 0
        self.doubtful = 0

    def add(self, finding: Finding) -> None:
        """Print one finding."""
        self.bad += finding.mark is Mark.BAD
        self.doubtful += finding.mark is Mark.DOUBTFUL
        sign, color = finding.mark.value
        say(f"{sign} {finding.what}: {_one_line(finding.detail)}", indent="  ", mark=color)
        if finding.hint:
            say(f"  {_one_line(finding.hint)}")

    def skip(self, *names: str) -> None:
        """Say that checks were not made because an earlier one failed."""
        for name in names:
            self.add(Finding(Mark.SKIPPED, name, "not checked"))

    def error(self, what: str, error: MaasMcpError) -> None:
        """Print a check that ended in an error."""
        self.add(Finding(Mark.BAD, what, error.message, error.hint))

    def conclude(self) -> int:
        """Print the last line; returns the exit code."""
        if self.bad:
            click.echo(f"\n{self.bad} {'check' if self.bad == 1 else 'checks'} failed.")
            return EXIT_FAILURE
        remarks = f"No check failed, but see {'the line' if self.doubtful == 1 else 'the lines'} marked with `!`."
        click.echo(f"\n{remarks if self.doubtful else 'All checks passed.'}")
        return 0


def _one_line(text: str) -> str:
    return " ".join(text.split())
