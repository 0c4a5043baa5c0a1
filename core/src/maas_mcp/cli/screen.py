"""The demonstration's screen, which can also record its output as an SVG image."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType

from maas_mcp.cli.bars import Bars, Terminal
from maas_mcp.errors import MaasMcpError
from maas_mcp.machine_text import make_visible

PICTURE_WIDTH: Final = 100
"""Columns of the recorded image."""
REMOTE_FONT: Final = re.compile(r",\s*url\([^)]*\)\s*format\([^)]*\)")
"""The parts of rich's SVG that load a font from the network."""


class Screen:
    """Prints to the terminal and records an image. Bars move on the terminal; the image shows their end."""

    def __init__(self, *, record: bool) -> None:
        self.console = Terminal(highlight=False)
        self._picture: Console | None = None
        if record:
            self._picture = Console(
                record=True,
                width=PICTURE_WIDTH,
                file=io.StringIO(),
                force_terminal=True,
                color_system="truecolor",
                highlight=False,
            )

    def show(self, *parts: RenderableType) -> None:
        """Print each part on its own lines."""
        for part in parts:
            self.console.print(part)
            if self._picture is not None:
                self._picture.print(part)

    def line(self, text: str) -> None:
        """Print a line that is not recorded. Safe to call from any thread."""
        self.console.print(make_visible(text), markup=False, soft_wrap=True)

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        """Show bars while the block runs."""
        with Bars(self.console) as bars:
            yield bars
        if self._picture is not None:
            self._picture.print(bars)

    def save(self, path: Path, title: str) -> None:
        """Write the image, which loads nothing from the network.

        Raises:
            MaasMcpError: The file cannot be written.
        """
        if self._picture is None:
            return
        try:
            path.write_text(REMOTE_FONT.sub("", self._picture.export_svg(title=title)), encoding="utf-8")
        except OSError as error:
            raise MaasMcpError(f"Cannot write {path}: {error.strerror}.") from None
