"""The published schemas of results, read from the fields of simple models without building their validators.

pydantic's generator needs a model's core schema, which takes most of the time of a start for models that no call has
used yet. Results are mostly flat models of plain types; the generator is used for all others.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from maas_mcp.maas.models import SystemIdRule
from maas_mcp.machine_text import FromMachine
from maas_mcp.plugins.portability import Schema

Models = tuple[type[BaseModel], ...]

PUBLISHED_DEPTH: Final = 2
"""Levels of objects whose fields the schema of a result names."""
_PLAIN: Final[Mapping[Any, str]] = MappingProxyType(
    {str: "string", int: "integer", float: "number", bool: "boolean", datetime: "string", NoneType: "null"}
)
_ARRAYS: Final = (list, tuple, set, frozenset, Sequence)
_MAPPINGS: Final = (dict, Mapping)
_PLAIN_CONFIG: Final = frozenset({"defer_build", "extra", "frozen", "populate_by_name", "strict", "title"})
"""Settings of a model that do not change the types of its fields in JSON."""
_KEEPS_TYPE: Final = (SystemIdRule, FromMachine)
"""Annotations that use a hook and leave the type in JSON unchanged."""
_HOOKS: Final = ("__get_pydantic_core_schema__", "__get_pydantic_json_schema__")
"""The methods by which a class or an annotation changes its schema."""


class NotPlainError(Exception):
    """A model is not made of plain types only."""


def plain_schema(model: type[BaseModel], within: Models = ()) -> Schema:
    """Return the names and types of a result's fields, :data:`PUBLISHED_DEPTH` levels of objects deep.

    Args:
        model: The model of the result, or of an object in it.
        within: The models that contain this object.

    Raises:
        NotPlainError: The model has other types, serializes itself, or contains itself.
    """
    decorators = model.__pydantic_decorators__
    if (
        decorators.model_serializers
        or decorators.field_serializers
        or decorators.computed_fields
        or model.__pydantic_root_model__
        or not model.model_config.keys() <= _PLAIN_CONFIG
        or model in within
        or has_own_hooks(model)
    ):
        raise NotPlainError
    if len(within) == PUBLISHED_DEPTH:
        return {"type": "object"}
    fields = {each.serialization_alias or name: each for name, each in model.model_fields.items() if not each.exclude}
    return {"type": "object", "properties": {name: _field(each, (*within, model)) for name, each in fields.items()}}


def has_own_hooks(model: type[BaseModel]) -> bool:
    """Whether a model changes its schema itself."""
    return any(getattr(model, hook).__func__ is not getattr(BaseModel, hook).__func__ for hook in _HOOKS)


def nullable(schema: Schema) -> Schema:
    """Return the schema of the same values and ``null``."""
    if isinstance(schema.get("type"), str) and not schema.keys() & {"enum", "const"}:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _field(field: FieldInfo, within: Models) -> Schema:
    if field.json_schema_extra is not None or field.discriminator is not None:
        raise NotPlainError
    return _annotated(field.annotation, field.metadata, within)


def _annotated(annotation: Any, metadata: Iterable[Any], within: Models) -> Schema:
    if any(not isinstance(each, _KEEPS_TYPE) and any(hasattr(each, hook) for hook in _HOOKS) for each in metadata):
        raise NotPlainError
    return _type(annotation, within)


def _type(annotation: Any, within: Models) -> Schema:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:  # first, because its hash needs that of every annotation
        return _annotated(arguments[0], arguments[1:], within)
    if origin is not None:
        return _generic(origin, arguments, within)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return plain_schema(annotation, within)
    if annotation is Any:
        return {}
    if annotation in _PLAIN:
        return {"type": _PLAIN[annotation]}
    raise NotPlainError


def _generic(origin: Any, arguments: tuple[Any, ...], within: Models) -> Schema:
    if origin in _MAPPINGS:
        return {"type": "object"}
    if origin in _ARRAYS and (len(arguments) == 1 or arguments[1:] == (...,)):
        items = _item(arguments[0], within)
        return {"type": "array", **({"items": items} if "properties" in items else {})}
    if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:  # noqa: PLR2004 - a type or None
        (other,) = (each for each in arguments if each is not NoneType)
        return nullable(_type(other, within))
    if origin is Literal and len(arguments) > 1 and all(type(each) is str for each in arguments):
        return {"type": "string", "enum": list(arguments)}
    raise NotPlainError


def _item(annotation: Any, within: Models) -> Schema:
    """The type of a list's items. Only objects are published, so at the last level any type will do."""
    try:
        return _type(annotation, within)
    except NotPlainError:
        if len(within) == PUBLISHED_DEPTH:
            return {}
        raise
