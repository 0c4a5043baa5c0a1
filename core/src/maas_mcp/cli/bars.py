"""Showing operations under way: live bars on a terminal, a line for each piece of news elsewhere."""

import re
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NoReturn, Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

WIDE: Final = 80
"""Columns from which on there is room for long bars."""
ECHOED: Final = len("^C^C")
"""Columns at the end of the last bar, where a terminal shows what is typed: on a full line it would go on below it, and
the bars could not be drawn over any more."""
_TIME_TOLD: Final = re.compile(r" \(.* so far\)$|(?:\b\d+ (?:s|min|h)\b ?)+")
"""The parts of a message that change by themselves, in heartbeats and outages."""


class Terminal(Console):
    """Where things are shown. Its reader may go away, as ``head`` does: that is an error like any other."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise it again: rich's own would end the program amid the MCP client's task groups, which report that."""
        raise  # noqa: PLE0704 - rich calls this while it handles the error


def is_live(console: Console) -> bool:
    """Whether bars can be drawn there. ``FORCE_COLOR`` makes a terminal of a pipe for colours, but not for bars."""
    return console.is_interactive and console.file.isatty()


class _Bar(BarColumn):
    """The bar, in the style of how the operation ended."""

    def __init__(self, columns: int) -> None:
        super().__init__(bar_width=20 if columns >= WIDE else 10, complete_style="cyan")

    def render(self, task: Task) -> ProgressBar:
        """The cell of one operation."""
        bar = super().render(task)
        if task.fields["style"]:
            bar.complete_style = bar.finished_style = task.fields["style"]
        return bar


class _Percentage(ProgressColumn):
    """How far it is; nothing where that is not known."""

    def render(self, task: Task) -> Text:
        """The cell of one operation."""
        return Text(f"{task.percentage:3.0f}%" if task.fields["measured"] else "")


class _Message(ProgressColumn):
    """What happens, in the style of how it ended; it gets what the others leave of the line, and is cut there."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True, overflow="ellipsis", ratio=1))

    def render(self, task: Task) -> Text:
        """The cell of one operation."""
        return Text(task.fields["message"], style=task.fields["style"], no_wrap=True, overflow="ellipsis")


class _Short:
    """Something that is drawn as if the lines were a little shorter."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._renderable, options.update_width(options.max_width - ECHOED))


class _Progress(Progress):
    """The bars, which end before the line does."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """One table."""
        yield _Short(self.make_tasks_table(self.tasks))


class Bar:
    """One operation. :meth:`news` is an MCP client's progress callback."""

    def __init__(self, bars: "Bars", label: str) -> None:
        self.label = label
        self.messages = 0
        """How many progress messages have come."""
        self.fraction = 0.0
        """How far it is, from 0.0 to 1.0, as far as the server told."""
        self._bars = bars
        self._message = ""
        self._measured = False
        self._told: tuple[str, bool] | None = None
        self._ended = False
        self._task = bars.progress.add_task(label, total=None, visible=False, message="", style="", measured=False)

    async def news(self, progress: float, total: float | None, message: str | None) -> None:
        """Take a progress message."""
        self.messages += 1
        if self._ended:  # a message may be delivered after the call has returned
            return
        self._message = message or ""
        self._measured = bool(total)
        if total:
            self.fraction = progress / total
        self._bars.progress.update(
            self._task,
            completed=progress if total else 0,
            total=total,
            measured=self._measured,
            message=self._message,
            visible=True,
        )
        self._tell()

    def succeed(self, message: str = "") -> None:
        """It is done.

        Args:
            message: The last thing to say of it; by default the last progress message. That one may not have come yet.
        """
        self._message = message or self._message
        self.fraction = 1.0
        self._end("green", self._message)
        if self.messages:
            self._tell()

    def fail(self, message: str) -> None:
        """It has failed, where it was."""
        self._end("red", message)

    def stop(self, message: str, fraction: float | None = None) -> None:
        """It is no longer followed, and has neither succeeded nor failed as a whole.

        Args:
            message: What became of it.
            fraction: How far it is, if that is known better than from the last progress message.
        """
        if fraction is not None:
            self.fraction, self._measured = fraction, True
        self._end("yellow", message)

    def _tell(self) -> None:
        """Tell what is new: neither a heartbeat nor the passing of time is."""
        told = (_TIME_TOLD.sub("", self._message), self._measured and self.fraction >= 1.0)
        if told != self._told:
            self._told = told
            self._bars.tell(self.label, f"{self.fraction:4.0%}  {self._message}" if self._measured else self._message)

    def _end(self, style: str, message: str) -> None:
        self._ended = True
        progress = self._bars.progress
        progress.stop_task(self._task)
        progress.update(
            self._task,
            total=1.0,
            completed=self.fraction,
            measured=self._measured,
            message=message,
            style=style,
            visible=self.messages > 0,
        )


class Bars:
    """The operations under way. Drawing begins with the first news: a quick call shows nothing."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = is_live(console)
        self.progress = _Progress(
            TextColumn("{task.description}", markup=False),
            _Bar(console.width),
            _Percentage(),
            TimeElapsedColumn(),
            _Message(),
            console=console,
            expand=True,  # so that the message's share is what is left
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def add(self, label: str) -> Bar:
        """An operation that begins now."""
        return Bar(self, label)

    def tell(self, label: str, news: str) -> None:
        """Show what is new: by drawing, or as a line."""
        if self.live:
            self.progress.start()
        else:
            self.console.print(f"{label}  {news}", markup=False, highlight=False, soft_wrap=True)

    def line(self, text: str) -> None:
        """Show a line that belongs to no bar, above them all; any thread may."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __rich__(self) -> RenderableType:
        return self.progress.get_renderable()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.live:
            self.progress.stop()
