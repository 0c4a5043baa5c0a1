"""The fields of MAAS's forms: reading, defaults, and the messages for bad values.

The messages are those of Django, and of MAAS's own validators; each was recorded from MAAS 3.7.3.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final

from maas_simulator.model.forms import Form, is_true, last
from maas_simulator.model.records import Record, Table, Tables
from maas_simulator.model.refusals import refused_form
from maas_simulator.model.specifiers import matching, parse_specifier

REQUIRED: Final = "This field is required."
NO_CHOICE: Final = "Select a valid choice. That choice is not one of the available choices."
WHOLE_FORM: Final = "__all__"
"""The name under which a form reports errors of several fields together."""

Reader = Callable[[Tables, str], Any]
"""Reads the text of a field. Raises ``Invalid``, with MAAS's messages."""

LONGEST_LABEL: Final = 63
MAC_ADDRESS: Final = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.IGNORECASE)


class Invalid(ValueError):  # noqa: N818 - MAAS's message about a field, not an error of the simulator
    """A value that MAAS rejects; ``args`` are its messages."""


@dataclass(frozen=True)
class Field:
    """A field of a form.

    ``default`` is stored if the field is left out when an object is created. A ``unique`` value is accepted for one
    object only. ``also`` is a second check that MAAS makes even if the field is missing or cannot be read: it gets
    the value or None, and returns a message.
    """

    name: str
    read: Reader
    required: bool = False
    default: Any = ""
    unique: bool = False
    several: bool = False
    """Whether all values of a repeated parameter count, as one that is separated by commas."""
    also: Callable[[Any], str | None] | None = None
    label: str = ""
    """The name in messages, if it is not the capitalised name."""


@dataclass
class Cleaning:
    """The reading of one request by a form: the values so far, and the errors by field."""

    tables: Tables
    given: Form
    old: Record | None
    values: Record = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)

    def add_error(self, name: str, *messages: str) -> None:
        """Add messages about a field."""
        self.errors.setdefault(name, []).extend(messages)

    def is_taken(self, table: Table, **values: object) -> bool:
        """Whether another object has these values."""
        return any(row is not self.old for row in table.where(**values))


Check = Callable[[Cleaning], None]
"""Checks several fields together, after each was read. Adds errors, and may set values."""


class RecordForm:
    """A form that creates or changes a record. Unknown parameters are ignored, as in MAAS.

    ``label`` is the name of the kind in messages, such as ``Resource pool``.
    """

    def __init__(self, label: str, *fields: Field, check: Check | None = None) -> None:
        self.label, self.fields, self.check = label, fields, check

    @property
    def defaults(self) -> Record:
        """The values of a new object of which nothing is given."""
        return {each.name: each.default for each in self.fields}

    def clean(self, tables: Tables, given: Form, table: Table | None, old: Record | None = None) -> Record:
        """Return the values to store. A change (with ``old``) keeps the fields that are left out.

        Raises:
            Refusal: A 400 with the messages of all bad fields.
        """
        cleaning = Cleaning(tables, given, old)
        for each in self.fields:
            self._read(cleaning, each)
        if self.check is not None:
            self.check(cleaning)
        if table is not None:
            self._check_unique(cleaning, table)
        if cleaning.errors:
            raise refused_form(cleaning.errors)
        return cleaning.values

    def _read(self, cleaning: Cleaning, each: Field) -> None:
        value: Any = None
        text, old = last(cleaning.given, each.name), cleaning.old
        if each.several:
            text = ",".join(cleaning.given.get(each.name, ()))
        if each.name not in cleaning.given and old is not None:
            value = old.get(each.name, each.default)
        elif not text.strip():
            value = each.default
            if each.required:
                cleaning.add_error(each.name, REQUIRED)
        else:
            try:
                value = each.read(cleaning.tables, text)
            except Invalid as wrong:
                cleaning.add_error(each.name, *wrong.args)
        if each.also is not None and (message := each.also(value)) is not None:
            cleaning.add_error(each.name, message)
        cleaning.values[each.name] = value

    def _check_unique(self, cleaning: Cleaning, table: Table) -> None:
        for each in (each for each in self.fields if each.unique and cleaning.values.get(each.name)):
            if cleaning.is_taken(table, **{each.name: cleaning.values[each.name]}):
                label = each.label or each.name.capitalize().replace("_", " ")
                cleaning.add_error(each.name, f"{self.label} with this {label} already exists.")


def checked(*rules: tuple[Callable[[str], object], str], convert: Callable[[str], Any] = str) -> Reader:
    """Read a text that passes tests, without the spaces around it.

    The message of the first test that fails may have the text as ``{0}``, and its length as ``{1}``.
    """

    def read(_tables: Tables, value: str) -> Any:
        value = value.strip()
        for test, wrong in rules:
            if not test(value):
                raise Invalid(wrong.format(value, len(value)))
        return convert(value)

    return read


def parsed(parse: Callable[[str], Any], wrong: str) -> Reader:
    """Read what a function can parse. The message for another value may have it as ``{}``."""

    def read(_tables: Tables, value: str) -> Any:
        try:
            return parse(value.strip())
        except ValueError:
            raise Invalid(wrong.format(value.strip())) from None

    return read


def text(most: int | None = None, pattern: str = "(?s:.*)", wrong: str = "Enter a valid value.") -> Reader:
    """Read a text of at most ``most`` characters that matches a pattern."""
    too_long = f"Ensure this value has at most {most} characters (it has {{1}})."
    return checked((lambda value: most is None or len(value) <= most, too_long), (re.compile(pattern).fullmatch, wrong))


def verbatim(_tables: Tables, value: str) -> str:
    """Read a text of several lines as it is."""
    return value


def whole(least: int | None = None, most: int | None = None) -> Reader:
    """Read a whole number."""
    return checked(
        (re.compile(r"-?\d+").fullmatch, "Enter a whole number."),
        (lambda value: least is None or int(value) >= least, f"Ensure this value is greater than or equal to {least}."),
        (lambda value: most is None or int(value) <= most, f"Ensure this value is less than or equal to {most}."),
        convert=int,
    )


_SIZE: Final = re.compile(r"(-?\d+)([kmgtpe]?)", re.IGNORECASE)


def byte_size(least: int, most: int | None = None, percent_of: int = 0) -> Reader:
    """Read a size in bytes, which may have a unit such as ``G``, or in some forms be a share such as ``50%``."""

    def read(tables: Tables, value: str) -> int:
        if percent_of and (share := re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", value.strip())):
            value = str(int(percent_of * float(share[1]) / 100))
        found = _SIZE.fullmatch(value.strip())
        if found is None:
            raise Invalid("Enter a valid value.")
        factor = 1000 ** " kmgtpe".index(found[2].lower() or " ")
        return int(whole(least, most)(tables, str(int(found[1]) * factor)))

    return read


def boolean(_tables: Tables, value: str) -> bool:
    """Read a boolean, which is loose as in all forms."""
    return is_true(value)


def choice(*known: str, wrong: str = "Select a valid choice. {} is not one of the available choices.") -> Reader:
    """Read one of several names."""

    def read(_tables: Tables, value: str) -> str:
        if value not in known:
            raise Invalid(wrong.format(value))
        return value

    return read


def one_of(name: str, *known: str) -> Reader:
    """Read one of several names. The message for others lists them."""
    return choice(*known, wrong=no_such_choice(name, "{}", known))


def no_such_choice(name: str, value: str, known: Iterable[object]) -> str:
    """MAAS's message that lists the choices."""
    choices = ", ".join(f"'{each}'" for each in known)
    return f"'{value}' is not a valid {name}.  It should be one of: {choices}."


def listed(_tables: Tables, value: str) -> list[str]:
    """Read a list, separated by commas or spaces."""
    return value.replace(",", " ").split()


def all_of(read: Reader) -> Reader:
    """Read a list, each element in the same way."""
    return lambda tables, value: [read(tables, each) for each in listed(tables, value)]


def reference(kind: str, *, by: str = "id") -> Reader:
    """Read the id of another object, which the request names by id, or by another field."""
    return lambda tables, value: _id_of(
        find(tables[kind], value) if by == "id" else tables[kind].named(value, by), NO_CHOICE
    )


def domain(tables: Tables, value: str) -> int:
    """Read the id of the domain of a machine or device, which the request names by name or id."""
    known = tables["Domain"]
    return _id_of(find(known, value) if value.isdecimal() else known.named(value), f"Unable to find domain {value}")


def specified(kind: str) -> Reader:
    """Read the id of an object of the network that the request names by a specifier."""
    return lambda tables, value: _id_of(next(iter(matching(tables, kind, value)), None), not_specified(kind, value))


def not_specified(kind: str, specifier: str) -> str:
    """MAAS's message about a specifier that names nothing."""
    return f"None found with {'='.join(parse_specifier(kind, specifier))}."


def _id_of(found: Record | None, wrong: str) -> int:
    if found is None:
        raise Invalid(wrong)
    return int(found["id"])


address: Final = parsed(lambda value: str(ip_address(value)), "Enter a valid IPv4 or IPv6 address.")
_ADDRESS_IN_LIST: Final = parsed(ip_address, "Invalid IP address: {}; provide a list of space-separated IP addresses")


def address_list(tables: Tables, value: str) -> str:
    """Read IP addresses, separated by commas or spaces."""
    given = listed(tables, value)
    for each in given:
        _ADDRESS_IN_LIST(tables, each)
    return " ".join(given)


def _network(value: str) -> str:
    if "/" not in value:
        raise ValueError(value)
    return str(ip_network(value, strict=False))


cidr: Final = parsed(_network, "Required format: <network>/<prefixlen>.")
mac_address: Final = checked(
    (MAC_ADDRESS.fullmatch, "'{}' is not a valid MAC address."), convert=lambda mac: mac.lower().replace("-", ":")
)
_HOSTNAME: Final = checked(
    (lambda name: "_" not in name, "Host label cannot contain underscore: '{}'."),
    (
        lambda name: len(name) <= LONGEST_LABEL,
        f"Label is too long: '{{}}'.  Maximum allowed is {LONGEST_LABEL} characters.",
    ),
    (re.compile(r"[a-z0-9.-]+").fullmatch, "Label contains disallowed characters: '{}'."),
    (lambda name: name == name.strip("-"), "Label cannot start or end with a hyphen: '{}'."),
)


def hostname(tables: Tables, value: str) -> str:
    """Read the name of a node."""
    return str(_HOSTNAME(tables, value.lower()))


def json_object(wrong: str) -> Reader:
    """Read a JSON object."""
    load = parsed(json.loads, "Enter a valid JSON.")

    def read(tables: Tables, value: str) -> Record:
        found = load(tables, value)
        if not isinstance(found, dict):
            raise Invalid(wrong)
        return found

    return read


def find(table: Table, text: str) -> Record | None:
    """Return the object with this id, or None, also if the text is no number."""
    return table.get(int(text)) if text.isdecimal() else None
