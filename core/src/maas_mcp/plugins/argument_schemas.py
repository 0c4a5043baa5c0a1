"""The schemas of arguments, read from the fields of simple models without building their validators.

No call is made before a client has listed the tools, so the validators of most tools are never needed. pydantic's
generator needs them, and is used for all other models.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from maas_mcp.maas.models import SystemIdRule
from maas_mcp.plugins.portability import Schema
from maas_mcp.plugins.result_schemas import NotPlainError, has_own_hooks

_PLAIN: Final[Mapping[Any, Schema]] = MappingProxyType(
    {
        str: {"type": "string"},
        int: {"type": "integer"},
        float: {"type": "number"},
        bool: {"type": "boolean"},
        SecretStr: {"type": "string", "format": "password", "writeOnly": True},
    }
)
_NUMBERS: Final = ("integer", "number")
_RULES: Final[Mapping[type, tuple[str, Mapping[str, str]]]] = MappingProxyType(
    {
        Ge: ("ge", dict.fromkeys(_NUMBERS, "minimum")),
        Gt: ("gt", dict.fromkeys(_NUMBERS, "exclusiveMinimum")),
        Le: ("le", dict.fromkeys(_NUMBERS, "maximum")),
        Lt: ("lt", dict.fromkeys(_NUMBERS, "exclusiveMaximum")),
        MinLen: ("min_length", {"string": "minLength", "array": "minItems"}),
        MaxLen: ("max_length", {"string": "maxLength", "array": "maxItems"}),
    }
)
"""For each rule its attribute, and its keyword by the type of the value."""
_PLAIN_CONFIG: Final = frozenset({"defer_build", "frozen", "strict", "title"})
"""Settings of a model that do not change the schema of its input."""
_UNSET: Final = (
    *("alias", "validation_alias", "title", "field_title_generator", "examples", "discriminator", "deprecated"),
    "json_schema_extra",
)
"""Attributes by which a field changes its schema in ways that this module does not know."""


def plain_arguments(model: type[BaseModel]) -> Schema:
    """Return the flat schema of a model's input, with ``nullable`` in place of ``null``.

    Raises:
        NotPlainError: The model or one of its fields is not simple.
    """
    decorators = model.__pydantic_decorators__
    if (
        any(each.info.mode != "after" for each in decorators.model_validators.values())
        or any(each.info.mode != "after" for each in decorators.field_validators.values())
        or decorators.validators
        or decorators.root_validators
        or model.__pydantic_root_model__
        or not model.model_config.keys() <= _PLAIN_CONFIG
        or has_own_hooks(model)
    ):
        raise NotPlainError
    fields = model.model_fields
    required = [name for name, field in fields.items() if field.is_required()]
    schema: Schema = {"type": "object", "properties": {name: _field(field) for name, field in fields.items()}}
    return {**schema, "required": required} if required else schema


def _field(field: FieldInfo) -> Schema:
    schema = _with_metadata(field.annotation, _metadata(field))
    if field.description is not None:
        schema["description"] = field.description
    default = field.default
    if default is PydanticUndefined or default is None:
        return schema
    if type(default) not in {bool, int, float, str} and default != []:
        raise NotPlainError
    return {**schema, "default": default}


def _metadata(field: FieldInfo) -> Sequence[Any]:
    if any(getattr(field, name) is not None for name in _UNSET):
        raise NotPlainError
    return field.metadata


def _with_metadata(annotation: Any, metadata: Sequence[Any]) -> Schema:
    """The schema of a type with rules and validators. Validators do not change it."""
    replacing = [place for place, each in enumerate(metadata) if isinstance(each, WithJsonSchema | SystemIdRule)]
    if replacing:
        schema, rest = _replacement(metadata[replacing[-1]]), metadata[replacing[-1] + 1 :]
    else:
        schema, rest = _type(annotation), metadata
    rules = list(takewhile(lambda each: type(each) in _RULES, rest))
    if replacing and rules:
        raise NotPlainError
    for each in rules:
        attribute, keywords = _RULES[type(each)]
        keyword = keywords.get(schema.get("type", ""))
        if keyword is None or keyword in schema:
            raise NotPlainError
        schema[keyword] = getattr(each, attribute)
    if not all(map(_only_validates, rest[len(rules) :])):
        raise NotPlainError
    return schema


def _replacement(rule: WithJsonSchema | SystemIdRule) -> Schema:
    if isinstance(rule, SystemIdRule):
        return dict(_PLAIN[str])
    if rule.json_schema is None or rule.mode is not None:
        raise NotPlainError
    return dict(rule.json_schema)


def _only_validates(each: Any) -> bool:
    if isinstance(each, BeforeValidator):
        return each.json_schema_input_type is PydanticUndefined
    return isinstance(each, AfterValidator)


def _type(annotation: Any) -> Schema:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:  # first, because its hash needs that of every annotation
        return _with_metadata(arguments[0], list(_flat(arguments[1:])))
    if origin is None and annotation in _PLAIN:
        return dict(_PLAIN[annotation])
    if origin is list:
        return {"type": "array", "items": _type(arguments[0])}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _type(arguments[1])}
    if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:  # noqa: PLR2004 - a type or None
        (other,) = (each for each in arguments if each is not NoneType)
        return {**_type(other), "nullable": True}
    if origin is Literal and len(arguments) > 1 and all(type(each) is str for each in arguments):
        return {"type": "string", "enum": list(arguments)}
    raise NotPlainError


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    """The metadata of an annotation, of which ``Field(...)`` may hold some."""
    for each in metadata:
        if not isinstance(each, FieldInfo):
            yield each
        elif each.description is None and each.is_required():
            yield from _metadata(each)
        else:
            raise NotPlainError
