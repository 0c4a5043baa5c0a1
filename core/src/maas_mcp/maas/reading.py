"""A lenient base model for MAAS's JSON: it leaves out and names unreadable fields and entries, and keeps the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from maas_mcp.errors import MaasProtocolError
from maas_mcp.machine_text import quoted

JSON = Any
"""A parsed JSON value. Use a :class:`MaasModel` to get types."""

ItemT = TypeVar("ItemT", bound="MaasModel")

_MAX_NAME_LENGTH: Final = 64


class MaasModel(BaseModel):
    """A frozen view of a JSON object. Unknown keys are dropped, because every MAAS release adds some.

    If MAAS sends an invalid value for a field with a default, the field gets the default and :attr:`unreadable` names
    it. In a list or an object, only the invalid parts are left out. A field without a default is required. If a default
    would be unsafe, :attr:`if_unreadable` provides another value.

    The validator is built for the first response, because no tool needs it before.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, allow_inf_nan=False)

    if_unreadable: ClassVar[Mapping[str, JSON]] = {}
    """Values by field name that replace an unreadable value instead of the default."""

    _unreadable: tuple[str, ...] = PrivateAttr(default=())

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The names of the unreadable fields. They have their defaults, or lack a part."""
        return self._unreadable

    @classmethod
    def from_response(cls, response: JSON) -> Self:
        """Read one object from MAAS's JSON.

        Raises:
            MaasProtocolError: A required field is unreadable. The message names the fields, without their values.
        """
        try:
            return cls.model_validate(response)
        except ValidationError as error:
            causes = [f"{name} ({kind})" for name, kind in _find_unreadable(cls, error).items()]
        problems = ", ".join(causes) or f"expected an object, but got {_describe_type(response)}"
        raise MaasProtocolError(f"MAAS returned unexpected JSON: {problems}.", hint=_hint(response))

    @classmethod
    def list_from_response(cls, response: JSON) -> "Listing[Self]":
        """Read a JSON list of objects. Unreadable entries are named in ``left_out``.

        Raises:
            MaasProtocolError: The response is not a list.
        """
        if not isinstance(response, list):
            raise MaasProtocolError(
                f"MAAS returned unexpected JSON: expected a list, but got {_describe_type(response)}.",
                hint=_hint(response),
            )
        found, left_out = [], []
        for number, item in enumerate(response, start=1):
            try:
                found.append(cls.model_validate(item))
            except ValidationError as error:
                left_out.append(_describe_left_out(cls, number, item, error))
        return Listing(found, left_out)

    @model_validator(mode="wrap")
    @classmethod
    def _read_leniently(cls, value: JSON, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            problems = _problems(error)
            names = tuple(dict.fromkeys(str(each["loc"][0]) for each in problems if each["loc"]))
            if not isinstance(value, dict) or not names or not all(cls._has_default(name) for name in names):
                raise
        read = handler(cls._remove_unreadable(value, problems))
        read._unreadable = names  # noqa: SLF001 - its own
        return read

    @classmethod
    def _has_default(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is not None and not field.is_required()

    @classmethod
    def _remove_unreadable(cls, value: Mapping[str, JSON], problems: Iterable[ErrorDetails]) -> dict[str, JSON]:
        """Return the object without its unreadable fields, or without only the unreadable parts of a field."""
        kept = dict(value)
        wrong: dict[str, set[Any]] = {}
        for each in problems:
            name, *rest = each["loc"]
            wrong.setdefault(str(name), set()).add(rest[0] if rest else None)
        for name, parts in wrong.items():
            whole = kept.pop(name, None)
            if isinstance(whole, list) and parts <= set(range(len(whole))):
                kept[name] = [part for number, part in enumerate(whole) if number not in parts]
            elif isinstance(whole, dict) and parts <= whole.keys():
                kept[name] = {key: part for key, part in whole.items() if key not in parts}
            else:
                kept |= {name: cls.if_unreadable[name]} if name in cls.if_unreadable else {}
        return kept


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry of a list with a missing or invalid required field."""

    identity: str | int | None
    """The value of its first required field, ``system_id`` or ``id``, or ``None`` if that is unreadable."""
    name: str
    """A name for messages: ``7xneda (node02)``, or ``entry 3`` if the entry has no readable name."""
    fields: tuple[str, ...]
    """The names of the missing or invalid fields; empty if the entry is not an object."""

    def __str__(self) -> str:
        fields = ", ".join(f"`{each}`" for each in self.fields)
        return f"{self.name}: {fields or 'it'} cannot be read"


class Listing(list[ItemT]):
    """The readable entries of a list from MAAS; :attr:`left_out` has the others."""

    def __init__(self, items: Iterable[ItemT] = (), left_out: Iterable[LeftOut] = ()) -> None:
        super().__init__(items)
        self.left_out = tuple(left_out)
        """The unreadable entries."""

    @property
    def total(self) -> int:
        """The number of entries that MAAS listed."""
        return len(self) + len(self.left_out)

    def may_hide(self, identity: str | int) -> bool:
        """Whether a left-out entry is or may be this one. An entry without a readable id may be any."""
        return any(each.identity in (identity, None) for each in self.left_out)


def _describe_left_out(model: type[MaasModel], number: int, item: JSON, error: ValidationError) -> LeftOut:
    fields = tuple(_find_unreadable(model, error))
    shown = item if isinstance(item, dict) else {}
    key = next(name for name, field in model.model_fields.items() if field.is_required())
    identity = None if key in fields else shown.get(key)
    name = next((one for key in ("hostname", "name") if isinstance(one := shown.get(key), str) and one), None)
    called = [str(each)[:_MAX_NAME_LENGTH] for each in (identity, name) if each is not None]
    if not called:
        return LeftOut(None, f"entry {number}", fields)
    named = [quoted(each) for each in called]
    return LeftOut(identity, f"{named[0]} ({named[1]})" if named[1:] else named[0], fields)


def _find_unreadable(model: type[MaasModel], error: ValidationError) -> dict[str, str]:
    """Return the unreadable required fields, each with pydantic's type of error."""
    kinds = {str(each["loc"][0]): each["type"] for each in reversed(_problems(error)) if each["loc"]}
    return {name: kinds[name] for name, field in model.model_fields.items() if name in kinds and field.is_required()}


def _problems(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _hint(response: JSON) -> str:
    if isinstance(response, dict) and "system_id" in response:
        return "Check this machine in the MAAS UI. Other machines are not affected."
    return "Check that MAAS_URL is a MAAS region of version 3.3 or newer."


def _describe_type(value: JSON) -> str:
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    return kinds.get(type(value), "a number or a boolean")
