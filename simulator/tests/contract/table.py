"""The results of the contract as a table, for the terminal and the documentation."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.tests.contract.replay import NOT_SIMULATED, Known, Outcome


@dataclass(frozen=True)
class Row:
    """The results of a topic, or of all."""

    topic: str
    same: int = 0
    explained: int = 0
    not_simulated: int = 0
    unexplained: int = 0

    @property
    def exchanges(self) -> int:
        """The number of exchanges."""
        return self.same + self.explained + self.not_simulated + self.unexplained

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        numbers = (self.exchanges, self.same, self.explained, self.not_simulated, self.unexplained)
        return (self.topic, *map(str, numbers))


HEADING = ("Topic", "Exchanges", "Same", "Explained", "Not simulated", "Unexplained")


def row(topic: str, outcomes: Sequence[Outcome], reasons: Known) -> Row:
    """Count the results of a topic."""
    differing = [outcome for outcome in outcomes if not outcome.same]
    explained = sum(outcome.name in reasons.explained for outcome in differing)
    not_simulated = sum(is_not_simulated(outcome, reasons) for outcome in differing)
    same = len(outcomes) - len(differing)
    return Row(topic, same, explained, not_simulated, len(differing) - explained - not_simulated)


def is_not_simulated(outcome: Outcome, reasons: Known) -> bool:
    """Whether the simulator says that it does not do this."""
    return outcome.name in reasons.not_simulated or outcome.answer.status == NOT_SIMULATED


def total(rows: Sequence[Row]) -> Row:
    """Add up all topics."""
    columns = zip(*((each.same, each.explained, each.not_simulated, each.unexplained) for each in rows), strict=True)
    return Row("all", *map(sum, columns))


def share(whole: Row) -> str:
    """Describe the share of equal exchanges."""
    return f"{whole.same} of {whole.exchanges} exchanges are the same: {whole.same / whole.exchanges:.1%}"


def lines(rows: Sequence[Row]) -> list[str]:
    """Format the table for a terminal."""
    table = [HEADING, *(each.cells() for each in (*rows, total(rows)))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [*(_aligned(cells, widths) for cells in table), share(total(rows))]


def markdown(rows: Sequence[Row], reasons: Known) -> str:
    """Format the table and the known differences for the documentation."""
    body = [HEADING, ("---", *["---:"] * (len(HEADING) - 1)), *(each.cells() for each in (*rows, total(rows)))]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in body)
    lists = (_listed("Explained", reasons.explained), _listed("Not simulated", reasons.not_simulated))
    return "\n\n".join((table, *filter(None, lists)))


def _listed(title: str, reasons: dict[str, str]) -> str:
    lines_of_list = [f"- `{name}`: {reason}" for name, reason in sorted(reasons.items())]
    return "\n".join([f"{title}:\n", *lines_of_list]) if reasons else ""


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])
