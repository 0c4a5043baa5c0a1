"""Reading a world from a file: YAML, or Python that makes the region itself."""

import runpy
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from maas_simulator.region import SimulatedRegion
from maas_simulator.worlds.inputs import explain
from maas_simulator.worlds.world import Place, World, WorldError

if TYPE_CHECKING:
    from yaml import MappingNode, ScalarNode, SequenceNode

    Node = MappingNode | ScalarNode | SequenceNode


PYTHON: Final = ".py"
T = TypeVar("T")


class WorldFileError(ValueError):
    """A file that is no world; the message has a line for each thing that is wrong, with the place in the file."""


def read_world(path: Path, *, speed: float | None = None) -> SimulatedRegion:
    """The region of a file: ``.py`` with a function ``region()`` that returns it, or else YAML.

    Args:
        path: The file.
        speed: Simulated seconds in a real second, in the place of what the file says.

    Raises:
        WorldFileError: It is no world.
        OSError: It cannot be read.
    """
    region = _run(path) if path.suffix == PYTHON else _used(path, World.region)
    if speed is not None:
        region.set_speed(speed)
    return region


def fill_region(region: SimulatedRegion, path: Path) -> None:
    """Put what a file in YAML says into a region that has no machines: all of it but the speed.

    Raises:
        WorldFileError: It is no world, or it is Python, which makes a region of its own.
        OSError: It cannot be read.
    """
    if path.suffix == PYTHON:
        raise WorldFileError(f"{path}: Python makes a region of its own; a world in YAML is needed here")
    _used(path, lambda world: world.fill(region))


def _run(path: Path) -> SimulatedRegion:
    path.read_bytes()  # a file that is not there is no error of the world
    try:
        make = runpy.run_path(str(path)).get("region")
        region = make() if callable(make) else None
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        raise WorldFileError(f"{path}{where}: {type(error).__name__}: {error}") from error
    if not isinstance(region, SimulatedRegion):
        raise WorldFileError(f"{path}: it needs a function region() that returns a maas_simulator.SimulatedRegion")
    return region


def _used(path: Path, use: Callable[[World], T]) -> T:
    """What comes of using the world in a file; what is wrong with it gets its line."""
    value, node = _parsed(path)
    kind = TypeAdapter(World)

    def line(place: Place) -> str:
        return f"{path}, line {_line(node, place)}: "

    try:
        return use(kind.validate_python({} if value is None else value))
    except ValidationError as error:
        places = [details["loc"] for details in error.errors()]
        words = [line(place) + each for place, each in zip(places, explain(error, kind), strict=True)]
    except WorldError as error:
        words = [f"{line(error.place)}{_written(error.place)}: {error}"]
    raise WorldFileError("\n".join(words))


def _parsed(path: Path) -> "tuple[object, Node | None]":
    """What a file says, and the same as nodes, which know their lines."""
    import yaml  # noqa: PLC0415 - only worlds in files need it

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text(encoding="utf-8"))
        node = cast("Node | None", loader.get_single_node())
        if node is None:
            return None, None
        _check_keys(node)  # before keys are merged, of which some may be the same
        return loader.construct_document(node), node
    except UnicodeDecodeError as error:
        words = f"it has to be in UTF-8, and byte {error.start + 1} is not ({error.reason})"
        raise WorldFileError(f"{path}: {words}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise WorldFileError(f"{path}{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date that there is not
        raise WorldFileError(f"{path}: {error}") from None


def _check_keys(node: "Node") -> None:
    """Refuse a key that stands twice in one place: YAML's reader would take the latter and forget the former."""
    from yaml import MarkedYAMLError  # noqa: PLC0415 - as above

    for mapping in (each for each in _within(node, set()) if each.id == "mapping"):
        seen: set[tuple[str, str]] = set()
        for key in (key for key, _ in mapping.value if key.id == "scalar"):
            if (key.tag, key.value) in seen:
                raise MarkedYAMLError(problem=f"the key {key.value} is there already", problem_mark=key.start_mark)
            seen.add((key.tag, key.value))


def _within(node: "Node", seen: set[int]) -> "Iterator[Node]":
    """A node and all that is in it, each once, however often it is named by an alias."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    values = () if node.id == "scalar" else node.value if node.id == "sequence" else (each for _, each in node.value)
    for each in values:
        yield from _within(each, seen)


def _written(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _line(node: "Node | None", place: Place) -> int:
    """The line of a place, or of what is nearest to it and is there."""
    found = 1
    for part in place:
        inside = {} if node is None else _inside(node)
        if str(part) not in inside:
            break
        key, node = inside[str(part)]
        found = key.start_mark.line + 1
    return found


def _inside(node: "Node") -> "dict[str, tuple[Node, Node]]":
    """What stands in a node, by its key or index, each with the node whose line is its own."""
    if node.id == "sequence":
        return {str(index): (each, each) for index, each in enumerate(node.value)}
    return {key.value: (key, value) for key, value in node.value if key.id == "scalar"} if node.id == "mapping" else {}
