"""Verifies audit files: finds the first line that was changed, removed or moved."""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from maas_mcp.audit.lines import START, Head, Line, Torn, decode_line, is_whole, names_torn, number_of

_MAX_HELD: Final = 100
"""Maximum incomplete lines in a row. A file with more is not an audit."""
_ENDS: Final = frozenset({"ended", "refused"})


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place where the chain is broken."""

    path: Path
    line: int
    """Number of the line in the file, from 1. If lines are missing at the end, one more than the file has."""
    problem: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.problem}"


@dataclass(slots=True)
class Verification:
    """The result of a verification, up to the first fault."""

    fault: Fault | None = None
    first: int = 0
    """Number of the first line; 0 if there is none."""
    head: Head = field(default_factory=Head)
    """The newest line."""
    lines: int = 0
    torn: int = 0
    """Incomplete lines, which the lines after them record."""
    torn_end: int = 0
    """Bytes of an incomplete line at the end of the last file. The next line will record it."""
    open_calls: dict[str, int] = field(default_factory=dict)
    """Calls without an outcome, each with the number of its line. They are running, or their server was killed."""


def verify(paths: Sequence[Path], *, recorded: Head | None = None, stored: Head | None = None) -> Verification:
    """Verify the files of one chain, and stop at the first fault.

    Args:
        paths: The files, in any order. Files that end in ``.gz`` are decompressed.
        recorded: The content of the head file. A later line is accepted, because a writer may be killed between its
            line and the head file.
        stored: A head that was stored elsewhere. The files must contain that line.

    Raises:
        OSError: A file cannot be read.
        EOFError: A compressed file is incomplete.
    """
    chain = _Chain(recorded, stored)
    ordered = sorted(paths, key=_first_number)
    try:
        for path in ordered:
            chain.read(path, _lines(path), is_last=path == ordered[-1])
        chain.check_end()
    except _BrokenError as broken:
        chain.result.fault = broken.fault
    return chain.result


class _BrokenError(Exception):
    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(problem)
        self.fault = Fault(path, line, problem)


class _Chain:
    """Follows a chain through its files."""

    def __init__(self, recorded: Head | None, stored: Head | None) -> None:
        self.result = Verification()
        self._recorded = recorded
        self._stored = stored
        self._path, self._number = Path(), 0
        self._held: list[bytes] = []
        """The latest lines, if they are invalid. Only the next line shows whether they were torn."""
        self._held_at = 0
        """The number of the first of them."""

    def read(self, path: Path, lines: Iterable[bytes], *, is_last: bool) -> None:
        """Follow the chain through a file."""
        self._path, self._number = path, 0
        is_first = ended = True
        for raw in lines:
            self._number += 1
            content = raw.removesuffix(b"\n")
            line = decode_line(content)
            if line is not None:
                start = self._held_at if self._held else self._number
                self._check_torn(line.torn)
                self._check_place(line, start, is_first=is_first)
                self._accept(line)
                is_first = False
            else:
                self._held_at = self._held_at if self._held else self._number
                self._held.append(content)
                if len(self._held) > _MAX_HELD:
                    self._fail_held()
            ended = raw.endswith(b"\n")
        if self._held and not (is_last and self._may_be_torn(ended=ended)):
            self._fail_held()

    def _may_be_torn(self, *, ended: bool) -> bool:
        """Whether the lines at the end are incomplete ones, whose next line is not written yet.

        The head file shows that they were never complete. Without it, only a line without a newline can be incomplete.
        """
        if any(is_whole(each) for each in self._held):
            return False
        return self._recorded is not None or (not ended and len(self._held) == 1)

    def check_end(self) -> None:
        """Check the end of the last file against the recorded head, and that the stored head was found."""
        newest, recorded, stored = self.result.head, self._recorded, self._stored
        self.result.torn_end = len(b"\n".join(self._held))
        end = self._held_at if self._held else self._number + 1
        if recorded is not None and newest.seq < recorded.seq:
            self._fail(
                end,
                f"the files end with number {newest.seq}, but the head file shows that numbers up to {recorded.seq} "
                "were written. These lines were changed or removed, or are in a file that was not given",
            )
        if recorded is not None and newest.seq == recorded.seq and newest.hash != recorded.hash:
            self._fail(end - 1, "was replaced: it does not have the hash in the head file")
        if stored is not None and stored.seq and not self.result.first <= stored.seq <= newest.seq:
            self._fail(end, f"number {stored.seq} of the stored head is not in the files")

    def _check_torn(self, torn: Torn | None) -> None:
        """Check that the invalid lines just before are the incomplete ones that this line records."""
        if self._held:
            count = len(self._held)
            changed = next((each for each in range(count) if torn == _torn(self._held[each:])), count)
            if changed:
                del self._held[changed:]
                self._fail_held()
            self.result.torn += 1
            self._held = []
        elif torn is not None:
            self._fail(self._number, "the incomplete line before it was removed")

    def _check_place(self, line: Line, start: int, *, is_first: bool) -> None:
        """Check that a line follows the one before it. ``start`` is its number, or that of its incomplete line."""
        before, seq = self.result.head, line.head.seq
        if self.result.first == 0:
            before = Head(seq - 1, line.prev) if seq > 1 else Head()
        if is_first and not line.starts_file:
            self._fail(start, "the lines before it were removed from this file")
        if seq > before.seq + 1:
            self._fail(start, f"has number {seq}; expected {before.seq + 1}. Lines before it were removed or moved")
        if seq <= before.seq:
            self._fail(start, f"has number {seq}; expected {before.seq + 1}. It was moved or repeated")
        if line.prev != before.hash:
            self._fail(start, "does not continue the line before it, which was replaced")
        if self._stored is not None and seq == self._stored.seq and line.head != self._stored:
            self._fail(start, "was replaced: it does not have the hash of the stored head")

    def _accept(self, line: Line) -> None:
        self.result.first = self.result.first or line.head.seq
        self.result.head = line.head
        self.result.lines += 1
        call, event = line.fields.get("call"), line.fields.get("event")
        if event == "admitted" and isinstance(call, str):
            self.result.open_calls[call] = line.head.seq
        elif event in _ENDS:
            self.result.open_calls.pop(str(call), None)

    def _fail_held(self) -> None:
        """Report the first of the held lines that was changed. Others may be torn, and a changed one records them."""
        held = self._held
        changed = next((each for each in range(1, len(held)) if names_torn(held[each], _torn(held[:each]))), 0)
        if not changed and len(held) > 1 and not is_whole(held[0]) and held[1].startswith(START):
            changed = 1
        problem = "was changed" if is_whole(held[changed]) else "was changed, or the next line was removed or moved"
        self._fail(self._held_at + changed, problem)

    def _fail(self, line: int, problem: str) -> None:
        raise _BrokenError(self._path, line, problem)


def _torn(lines: Sequence[bytes]) -> Torn:
    return Torn.of(b"\n".join(lines))


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        yield from file


def _first_number(path: Path) -> float:
    """The number of the first readable line in a file. A file without lines is the newest one."""
    return next((number for line in _lines(path) if (number := number_of(line)) is not None), float("inf"))
