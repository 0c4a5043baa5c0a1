"""The counts of the fault tests, and the table that shows them at the end."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields

PROPERTY = "faults"
"""The name of the property that carries rows in pytest's reports, also from xdist workers."""


@dataclass
class Row:
    """The runs of one operation under one kind of fault."""

    operation: str
    fault: str
    runs: int = 1
    lost: int = 0
    """Operations that started but are not found by their id or in the list of operations."""
    double_starts: int = 0
    after_cancel: int = 0
    """Messages about a call after its cancellation."""
    hangs: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.double_starts or self.after_cancel or self.hangs)


class Tally:
    """Records rows. A row that is not clean fails its test after it is recorded."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def add(self, row: Row) -> None:
        self._record(PROPERTY, asdict(row))
        assert row.clean, row


def table(rows: Iterable[Row]) -> list[str]:
    """The lines of the table, which adds up rows of the same operation and fault."""
    sums: dict[tuple[str, str], Row] = {}
    for row in rows:
        total = sums.setdefault((row.operation, row.fault), Row(row.operation, row.fault, runs=0))
        for name in COUNTS:
            setattr(total, name, getattr(total, name) + getattr(row, name))
    ordered = [sums[key] for key in sorted(sums)]
    if not ordered:
        return []
    grand = Row("all", "", **{name: sum(getattr(row, name) for row in ordered) for name in COUNTS})
    cells = [["operation", "fault", *(name.replace("_", " ") for name in COUNTS)]]
    cells += [[row.operation, row.fault, *(str(getattr(row, name)) for name in COUNTS)] for row in (*ordered, grand)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(cell.ljust(width) if column < 2 else cell.rjust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in cells)
    ]


COUNTS = tuple(each.name for each in fields(Row) if each.type in {int, "int"})
