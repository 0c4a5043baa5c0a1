"""The doctor's report: a line for each check, with a fix for each problem, and a conclusion."""

from dataclasses import dataclass
from enum import Enum

import click

from maas_mcp.cli.common import EXIT_FAILURE, print_text
from maas_mcp.errors import MaasMcpError


class Mark(Enum):
    """The result of a check: its sign and its colour."""

    PASSED = ("✓", "green")
    WARNING = ("!", "yellow")
    FAILED = ("✗", "red")
    SKIPPED = ("-", "bright_black")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    mark: Mark
    check: str
    detail: str
    hint: str | None = None


class Report:
    """Prints findings as they are added, and counts failures and warnings."""

    def __init__(self) -> None:
        self.failed = 0
        self.warnings = 0

    def add(self, finding: Finding) -> None:
        """Print one finding."""
        self.failed += finding.mark is Mark.FAILED
        self.warnings += finding.mark is Mark.WARNING
        sign, color = finding.mark.value
        print_text(f"{sign} {finding.check}: {_one_line(finding.detail)}", indent="  ", mark=color)
        if finding.hint:
            print_text(f"  {_one_line(finding.hint)}")

    def skip(self, *names: str) -> None:
        """Print that checks were skipped because an earlier one failed."""
        for name in names:
            self.add(Finding(Mark.SKIPPED, name, "not checked"))

    def error(self, check: str, error: MaasMcpError) -> None:
        """Print a check that failed with an error."""
        self.add(Finding(Mark.FAILED, check, error.message, error.hint))

    def conclude(self) -> int:
        """Print the conclusion. Returns the exit code."""
        if self.failed:
            click.echo(f"\n{self.failed} {'check' if self.failed == 1 else 'checks'} failed.")
            return EXIT_FAILURE
        warnings = (
            f"No check failed. There {'is 1 warning' if self.warnings == 1 else f'are {self.warnings} warnings'}."
        )
        click.echo(f"\n{warnings if self.warnings else 'All checks passed.'}")
        return 0


def _one_line(text: str) -> str:
    return " ".join(text.split())
