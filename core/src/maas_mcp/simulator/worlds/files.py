"""Reading a world from a file: YAML, or Python that makes the region itself."""

import runpy
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from maas_mcp.simulator.region import Region
from maas_mcp.simulator.worlds.inputs import explain
from maas_mcp.simulator.worlds.world import Place, World, WorldError

if TYPE_CHECKING:
    from yaml import Node


class WorldFileError(ValueError):
    """A file that is no world; the message has a line for each thing that is wrong, with the place in the file."""


def read_world(path: Path, *, speed: float | None = None) -> Region:
    """The region of a file: ``.py`` with a function ``region()`` that returns it, or else YAML.

    Args:
        path: The file.
        speed: Simulated seconds in a real second, in the place of what the file says.

    Raises:
        WorldFileError: It is no world.
        OSError: It cannot be read.
    """
    region = _run(path) if path.suffix == ".py" else _read(path, path.read_text(encoding="utf-8"))
    if speed is not None:
        region.set_speed(speed)
    return region


def _run(path: Path) -> Region:
    path.read_bytes()  # a file that is not there is no error of the world
    try:
        make = runpy.run_path(str(path)).get("region")
        region = make() if callable(make) else None
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        raise WorldFileError(f"{path}{where}: {type(error).__name__}: {error}") from error
    if not isinstance(region, Region):
        raise WorldFileError(f"{path}: it needs a function region() that returns a maas_mcp.simulator.Region")
    return region


def _read(path: Path, text: str) -> Region:
    import yaml  # noqa: PLC0415 - only worlds in files need it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(text, loader)  # noqa: S506 - both loaders are the safe ones
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise WorldFileError(f"{path}{where}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise WorldFileError(f"{path}: {error}") from None

    def line(place: Place) -> str:
        return f"{path}, line {_line(yaml.compose(text, loader), place)}: "

    return _made(value, line)


def _made(value: object, line: Callable[[Place], str]) -> Region:
    kind = TypeAdapter(World)
    try:
        return kind.validate_python({} if value is None else value).region()
    except ValidationError as error:
        places = [details["loc"] for details in error.errors()]
        words = [line(place) + each for place, each in zip(places, explain(error, kind), strict=True)]
    except WorldError as error:
        words = [f"{line(error.place)}{_written(error.place)}: {error}"]
    raise WorldFileError("\n".join(words))


def _written(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _line(node: "Node | None", place: Place) -> int:
    """The line of a place, or of what is nearest to it and is there."""
    found = 1
    for part in place:
        if node is None or not isinstance(node.value, list):
            break
        if isinstance(part, int):
            node = node.value[part]
            found = node.start_mark.line + 1
            continue
        pairs = [pair for pair in node.value if isinstance(pair, tuple) and pair[0].value == part]
        if not pairs:
            break
        found, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
    return found
