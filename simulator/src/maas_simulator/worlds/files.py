"""Reads world files: YAML, or Python that builds the region itself."""

import runpy
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from maas_simulator.region import SimulatedRegion
from maas_simulator.worlds.inputs import Place, WorldError, explain
from maas_simulator.worlds.world import World

if TYPE_CHECKING:
    from yaml import MappingNode, ScalarNode, SequenceNode

    Node = MappingNode | ScalarNode | SequenceNode


PYTHON: Final = ".py"
T = TypeVar("T")


class WorldFileError(ValueError):
    """An invalid world file. The message has a line for each error, with its place in the file."""


def read_world(path: Path, *, speed: float | None = None) -> SimulatedRegion:
    """Build the region of a world file: ``.py`` with a function ``region()`` that returns it, or YAML.

    Args:
        path: The file.
        speed: Simulated seconds per real second, instead of the file's speed.

    Raises:
        WorldFileError: The file is invalid.
        OSError: The file cannot be read.
    """
    region = _run(path) if path.suffix == PYTHON else _use_world(path, World.region)
    if speed is not None:
        region.set_speed(speed)
    return region


def fill_region(region: SimulatedRegion, path: Path) -> None:
    """Put the content of a YAML world file, except its speed, into a region without machines.

    Raises:
        WorldFileError: The file is invalid, or it is Python, which builds its own region.
        OSError: The file cannot be read.
    """
    if path.suffix == PYTHON:
        raise WorldFileError(f"{path}: a Python file builds its own region; a YAML world file is needed here")
    _use_world(path, lambda world: world.fill(region))


def _run(path: Path) -> SimulatedRegion:
    path.read_bytes()  # Raise OSError here, so that it is not reported as an error in the world.
    try:
        make = runpy.run_path(str(path)).get("region")
        region = make() if callable(make) else None
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        raise WorldFileError(f"{path}{where}: {type(error).__name__}: {error}") from error
    if not isinstance(region, SimulatedRegion):
        raise WorldFileError(
            f"{path}: the file must define a function region() that returns a maas_simulator.SimulatedRegion"
        )
    return region


def _use_world(path: Path, use: Callable[[World], T]) -> T:
    """Parse a world file and pass the world to ``use``; errors get the number of their line."""
    value, node = _parse(path)
    kind = TypeAdapter(World)

    def line(place: Place) -> str:
        return f"{path}, line {_line(node, place)}: "

    try:
        return use(kind.validate_python({} if value is None else value))
    except ValidationError as error:
        places = [details["loc"] for details in error.errors()]
        words = [line(place) + each for place, each in zip(places, explain(error, kind), strict=True)]
    except WorldError as error:
        words = [f"{line(error.place)}{_format_place(error.place)}: {error}"]
    raise WorldFileError("\n".join(words))


def _parse(path: Path) -> "tuple[object, Node | None]":
    """Parse a file into its value, and into nodes, which have line numbers."""
    import yaml  # noqa: PLC0415 - only worlds in files need it

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text(encoding="utf-8"))
        node = cast("Node | None", loader.get_single_node())
        if node is None:
            return None, None
        _check_keys(node)  # before keys are merged, which may repeat a key
        return loader.construct_document(node), node
    except UnicodeDecodeError as error:
        words = f"the file must be UTF-8, and byte {error.start + 1} is not ({error.reason})"
        raise WorldFileError(f"{path}: {words}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise WorldFileError(f"{path}{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise WorldFileError(f"{path}: {error}") from None


def _check_keys(node: "Node") -> None:
    """Reject duplicate keys; YAML's reader would silently use the last one."""
    from yaml import MarkedYAMLError  # noqa: PLC0415 - as above

    for mapping in (each for each in _walk(node, set()) if each.id == "mapping"):
        seen: set[tuple[str, str]] = set()
        for key in (key for key, _ in mapping.value if key.id == "scalar"):
            if (key.tag, key.value) in seen:
                raise MarkedYAMLError(
                    problem=f"duplicate key {key.value}; remove one of them", problem_mark=key.start_mark
                )
            seen.add((key.tag, key.value))


def _walk(node: "Node", seen: set[int]) -> "Iterator[Node]":
    """Yield a node and all nodes below it, each once even if aliases repeat it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    values = () if node.id == "scalar" else node.value if node.id == "sequence" else (each for _, each in node.value)
    for each in values:
        yield from _walk(each, seen)


def _format_place(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _line(node: "Node | None", place: Place) -> int:
    """The line of a place, or of its nearest existing parent."""
    found = 1
    for part in place:
        inside = {} if node is None else _children(node)
        if str(part) not in inside:
            break
        key, node = inside[str(part)]
        found = key.start_mark.line + 1
    return found


def _children(node: "Node") -> "dict[str, tuple[Node, Node]]":
    """The children of a node by key or index, each with the node that has its line number."""
    if node.id == "sequence":
        return {str(index): (each, each) for index, each in enumerate(node.value)}
    return {key.value: (key, value) for key, value in node.value if key.id == "scalar"} if node.id == "mapping" else {}
