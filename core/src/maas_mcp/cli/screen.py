"""The demonstration's screen: what is shown, and if asked for, recorded as a picture."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType

from maas_mcp.cli.bars import Bars, Terminal
from maas_mcp.errors import MaasMcpError

PICTURE_WIDTH: Final = 100
"""Columns of the recorded picture."""
FONT_ELSEWHERE: Final = re.compile(r",\s*url\([^)]*\)\s*format\([^)]*\)")
"""The parts of rich's picture that load a font from the network."""


class Screen:
    """Shows what is given to it; bars move on the screen, and are recorded as they end."""

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
        """Show each part on lines of its own."""
        for part in parts:
            self.console.print(part)
            if self._picture is not None:
                self._picture.print(part)

    def line(self, text: str) -> None:
        """Show a line that is not for the picture; any thread may."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        """Bars that move while the block runs."""
        with Bars(self.console) as bars:
            yield bars
        if self._picture is not None:
            self._picture.print(bars)

    def save(self, path: Path, title: str) -> None:
        """Write the picture, which loads nothing from the network.

        Raises:
            MaasMcpError: The file cannot be written.
        """
        if self._picture is None:
            return
        try:
            path.write_text(FONT_ELSEWHERE.sub("", self._picture.export_svg(title=title)), encoding="utf-8")
        except OSError as error:
            raise MaasMcpError(f"{path} cannot be written: {error.strerror}.") from None
