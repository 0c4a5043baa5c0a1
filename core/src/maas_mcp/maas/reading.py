"""Reads MAAS's JSON leniently: a field or an entry that cannot be read is left out and named, and hides no other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from maas_mcp.errors import MaasProtocolError

JSON = Any
"""A parsed JSON value. A :class:`MaasModel` is the typed way to read one."""

ItemT = TypeVar("ItemT", bound="MaasModel")

_LONGEST_NAME: Final = 64


class MaasModel(BaseModel):
    """A frozen view of a JSON object. Unknown keys are dropped, because every MAAS release adds some.

    A field with a default holds it where MAAS sends a value of another type, and :attr:`unreadable` names the field. In
    a list or an object, only the parts that cannot be read are left out. A field without a default has to be readable.
    Where the default would not be safe, :attr:`if_unreadable` has another value.

    Its validator is made when the first answer is read: no tool needs it before.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, allow_inf_nan=False)

    if_unreadable: ClassVar[Mapping[str, JSON]] = {}
    """Values by field name, held instead of the default if MAAS's value cannot be read."""

    _unreadable: tuple[str, ...] = PrivateAttr(default=())

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The fields that MAAS sent in a way that cannot be read, by name: they hold their defaults, or lack a part."""
        return self._unreadable

    @classmethod
    def from_response(cls, response: JSON) -> Self:
        """One object out of MAAS's JSON.

        Raises:
            MaasProtocolError: It cannot be used. The message names the fields, and never shows what they hold.
        """
        try:
            return cls.model_validate(response)
        except ValidationError as error:
            causes = [f"{name} ({kind})" for name, kind in _causes(cls, error).items()]
        problems = ", ".join(causes) or f"expected an object, but got {_kind(response)}"
        raise MaasProtocolError(f"MAAS answered with JSON of an unexpected shape: {problems}.", hint=_hint(response))

    @classmethod
    def list_from_response(cls, response: JSON) -> "Listing[Self]":
        """The objects of a JSON list, as far as each can be used; the others are named in ``left_out``.

        Raises:
            MaasProtocolError: It is no list.
        """
        if not isinstance(response, list):
            raise MaasProtocolError(
                f"MAAS answered with JSON of an unexpected shape: expected a list, but got {_kind(response)}.",
                hint=_hint(response),
            )
        found, left_out = [], []
        for number, item in enumerate(response, start=1):
            try:
                found.append(cls.model_validate(item))
            except ValidationError as error:
                left_out.append(_left_out(cls, number, item, error))
        return Listing(found, left_out)

    @model_validator(mode="wrap")
    @classmethod
    def _read_what_can_be(cls, value: JSON, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            problems = _problems(error)
            names = tuple(dict.fromkeys(str(each["loc"][0]) for each in problems if each["loc"]))
            if not isinstance(value, dict) or not names or not all(cls._has_default(name) for name in names):
                raise
        read = handler(cls._without(value, problems))
        read._unreadable = names  # noqa: SLF001 - its own
        return read

    @classmethod
    def _has_default(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        return field is not None and not field.is_required()

    @classmethod
    def _without(cls, value: Mapping[str, JSON], problems: Iterable[ErrorDetails]) -> dict[str, JSON]:
        """The object without what cannot be read: a field, or only the parts of it."""
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
    """An entry of a list that cannot be read, because a field without which it cannot be used is missing or odd."""

    identity: str | int | None
    """The first of the fields that it needs, its ``system_id`` or ``id``, where that can be read."""
    name: str
    """A name for messages: ``7xneda (node02)``, or ``entry 3`` if nothing in the entry can be read."""
    fields: tuple[str, ...]
    """The names of the missing or odd fields; empty if the entry is not an object."""

    def __str__(self) -> str:
        fields = ", ".join(f"`{each}`" for each in self.fields)
        return f"{self.name}: {fields or 'it'} cannot be read"


class Listing(list[ItemT]):
    """The entries of MAAS's list that can be read; :attr:`left_out` has the others."""

    def __init__(self, items: Iterable[ItemT] = (), left_out: Iterable[LeftOut] = ()) -> None:
        super().__init__(items)
        self.left_out = tuple(left_out)
        """The entries that cannot be read."""

    @property
    def total(self) -> int:
        """How many entries MAAS listed."""
        return len(self) + len(self.left_out)

    def may_hide(self, identity: str | int) -> bool:
        """Whether an entry left out is this one, or may be: an entry without a readable id may be any."""
        return any(each.identity in (identity, None) for each in self.left_out)


def _left_out(model: type[MaasModel], number: int, item: JSON, error: ValidationError) -> LeftOut:
    fields = tuple(_causes(model, error))
    shown = item if isinstance(item, dict) else {}
    key = next(name for name, field in model.model_fields.items() if field.is_required())
    identity = None if key in fields else shown.get(key)
    name = next((one for key in ("hostname", "name") if isinstance(one := shown.get(key), str) and one), None)
    called = [str(each)[:_LONGEST_NAME] for each in (identity, name) if each is not None]
    if not called:
        return LeftOut(None, f"entry {number}", fields)
    return LeftOut(identity, f"{called[0]} ({called[1]})" if called[1:] else called[0], fields)


def _causes(model: type[MaasModel], error: ValidationError) -> dict[str, str]:
    """The fields for want of which an object cannot be used, and pydantic's name for what is wrong with each."""
    kinds = {str(each["loc"][0]): each["type"] for each in reversed(_problems(error)) if each["loc"]}
    return {name: kinds[name] for name, field in model.model_fields.items() if name in kinds and field.is_required()}


def _problems(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _hint(response: JSON) -> str:
    if isinstance(response, dict) and "system_id" in response:
        return "Check this machine in the MAAS UI. The others can still be read."
    return "Is MAAS_URL a MAAS region of version 3.3 or newer?"


def _kind(value: JSON) -> str:
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    return kinds.get(type(value), "a number or a boolean")
