"""The fields of a result that carry text from machines, as JSON pointers, read from the annotations of its model."""

from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

from maas_mcp.machine_text import CarriesMachineText

Models = tuple[type[BaseModel], ...]

_MAPPINGS: Final = (dict, Mapping)


@cache
def machine_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the JSON pointers of the fields that the model marks, such as ``/machines/*/hostname``.

    A ``*`` stands for each item of an array or each key of an object. A model inside itself is marked as a whole.
    """
    return tuple(dict.fromkeys(_in_model(model, ())))


def _in_model(model: type[BaseModel], within: Models) -> Iterator[str]:
    if model in within:
        yield ""
        return
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        key = (field.serialization_alias or name).replace("~", "~0").replace("/", "~1")
        for pointer in _in_annotation(field.annotation, tuple(field.metadata), (*within, model)):
            yield f"/{key}{pointer}"


def _in_annotation(annotation: Any, metadata: tuple[Any, ...], within: Models) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if any(isinstance(each, CarriesMachineText) for each in metadata):
        yield ""
    elif origin is Annotated:
        yield from _in_annotation(arguments[0], arguments[1:], within)
    elif origin in (Union, UnionType):
        for each in arguments:
            yield from _in_annotation(each, (), within)
    elif origin is not None:
        for each in arguments[1:] if origin in _MAPPINGS else arguments:
            yield from (f"/*{pointer}" for pointer in _in_annotation(each, (), within))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _in_model(annotation, within)
