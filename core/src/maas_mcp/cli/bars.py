"""Progress display: live bars on a terminal, and one line for each change elsewhere."""

import re
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NoReturn, Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

from maas_mcp.machine_text import make_visible

WIDE: Final = 80
"""Columns. From this width on, bars are longer and tables have all columns."""
ECHO_WIDTH: Final = len("^C^C")
"""Columns kept free after the last bar. The terminal echoes typed characters there: on a full line the echo would wrap,
and rich could no longer redraw the bars."""
_ELAPSED_TIME: Final = re.compile(r" \(.* so far\)$|(?:\b\d+ (?:s|min|h)\b ?)+")
"""The elapsed time in the messages of heartbeats and outages."""


class Terminal(Console):
    """A console whose reader may close the pipe, as ``head`` does."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error again. Rich would exit inside the MCP client's task groups, which would print a traceback."""
        raise  # noqa: PLE0704 - rich calls this while it handles the error


def is_live(console: Console) -> bool:
    """Whether bars can be drawn. ``FORCE_COLOR`` makes rich treat a pipe as a terminal, but bars need a real one."""
    return console.is_interactive and console.file.isatty()


class _Bar(BarColumn):
    """The bar, coloured by how the operation ended."""

    def __init__(self, columns: int) -> None:
        super().__init__(bar_width=20 if columns >= WIDE else 10, complete_style="cyan")

    def render(self, task: Task) -> ProgressBar:
        """Render the cell of one operation."""
        bar = super().render(task)
        if task.fields["style"]:
            bar.complete_style = bar.finished_style = task.fields["style"]
        return bar


class _Percentage(ProgressColumn):
    """The percentage, empty if the progress is unknown."""

    def render(self, task: Task) -> Text:
        """Render the cell of one operation."""
        return Text(f"{task.percentage:3.0f}%" if task.fields["measured"] else "")


class _Message(ProgressColumn):
    """The message, coloured by how the operation ended. It takes the rest of the line and is truncated there."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True, overflow="ellipsis", ratio=1))

    def render(self, task: Task) -> Text:
        """Render the cell of one operation."""
        return Text(task.fields["message"], style=task.fields["style"], no_wrap=True, overflow="ellipsis")


class _Shortened:
    """Draws a renderable a few columns narrower than the console, see :data:`ECHO_WIDTH`."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._renderable, options.update_width(options.max_width - ECHO_WIDTH))


class _Progress(Progress):
    """Bars that leave room for echoed characters."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return one narrower table."""
        yield _Shortened(self.make_tasks_table(self.tasks))


class Bar:
    """The bar of one operation. :meth:`on_progress` is an MCP progress callback."""

    def __init__(self, bars: "Bars", label: str) -> None:
        self.label = label
        self.messages = 0
        """The number of progress messages received."""
        self.fraction = 0.0
        """The last reported progress, from 0.0 to 1.0."""
        self._bars = bars
        self._message = ""
        self._measured = False
        self._last_shown: tuple[str, bool] | None = None
        self._ended = False
        self._task = bars.progress.add_task(label, total=None, visible=False, message="", style="", measured=False)

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Show a progress message."""
        self.messages += 1
        if self._ended:  # a message may be delivered after the call has returned
            return
        self._message = make_visible(message or "")
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
        self._show_if_new()

    def succeed(self, message: str = "") -> None:
        """End the bar in green, at 100%.

        Args:
            message: The final message. By default the last progress message, which may arrive too late to be shown.
        """
        self._message = make_visible(message) or self._message
        self.fraction = 1.0
        self._end("green", self._message)
        if self.messages:
            self._show_if_new()

    def fail(self, message: str) -> None:
        """End the bar in red, at its last progress."""
        self._end("red", message)

    def stop(self, message: str, fraction: float | None = None) -> None:
        """End the bar in yellow: the operation continues, or succeeded only in part.

        Args:
            message: The final message.
            fraction: The progress from 0.0 to 1.0, if more recent than the last progress message.
        """
        if fraction is not None:
            self.fraction, self._measured = fraction, True
        self._end("yellow", message)

    def _show_if_new(self) -> None:
        """Show the message unless only its elapsed time has changed, as in heartbeats."""
        shown = (_ELAPSED_TIME.sub("", self._message), self._measured and self.fraction >= 1.0)
        if shown != self._last_shown:
            self._last_shown = shown
            self._bars.show(self.label, f"{self.fraction:4.0%}  {self._message}" if self._measured else self._message)

    def _end(self, style: str, message: str) -> None:
        self._ended = True
        progress = self._bars.progress
        progress.stop_task(self._task)
        progress.update(
            self._task,
            total=1.0,
            completed=self.fraction,
            measured=self._measured,
            message=make_visible(message),
            style=style,
            visible=self.messages > 0,
        )


class Bars:
    """The bars of all running operations. The first progress message starts drawing: a quick call shows nothing."""

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
            expand=True,  # the message takes the rest of the line
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def add(self, label: str) -> Bar:
        """Add a bar for an operation that starts now."""
        return Bar(self, label)

    def show(self, label: str, text: str) -> None:
        """Show a change: start drawing on a terminal, or print a line elsewhere."""
        if self.live:
            self.progress.start()
        else:
            self.console.print(f"{label}  {text}", markup=False, highlight=False, soft_wrap=True)

    def pause(self) -> None:
        """Stop drawing until there is more progress, so that the user can type."""
        if self.live:
            self.progress.stop()

    def line(self, text: str) -> None:
        """Print a line above the bars. Safe to call from any thread."""
        self.console.print(make_visible(text), markup=False, highlight=False, soft_wrap=True)

    def __rich__(self) -> RenderableType:
        return self.progress.get_renderable()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.live:
            self.progress.stop()
