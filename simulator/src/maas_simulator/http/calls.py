"""A parsed request as handlers get it, with its user and parameters, and the response."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from functools import cached_property
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

import yaml
from pydantic_core import to_json

from maas_simulator.model.auth import User
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.networks import API
from maas_simulator.model.refusals import BY_USER, JSON_TYPE, PLAIN, Refusal, forbidden, not_found, not_simulated
from maas_simulator.model.statuses import Status
from maas_simulator.state import RegionState


@dataclass(frozen=True)
class Call:
    """A parsed request; ``parts`` are the variable parts of its path."""

    region: RegionState
    user: User
    method: str
    path: str
    raw_query: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]
    parts: tuple[str, ...]
    data: object
    """The body as MAAS's ``data``: its form, decoded JSON, or None."""

    def machine(self, kind: str = "") -> SimulatedMachine:
        """The machine in the path: 404 if there is none, 403 if the user may not see it."""
        machine = self.region.machines.get(self.parts[0])
        if machine is None:
            raise not_found(kind or ("Machine" if self.path.startswith(f"{API}/machines/") else "Node"))
        if not self.sees(machine):
            raise forbidden()
        return machine

    def sees(self, machine: SimulatedMachine) -> bool:
        """Whether the user may see the machine. Superusers see all; others see their own and unowned machines."""
        return self.user.is_superuser or machine.owner in (None, self.user.username)

    def check_permission(self, permission: str, machine: SimulatedMachine) -> None:
        """Raise a 403 unless the user has this permission on the machine; ``PERMISSIONS`` has their names."""
        if not PERMISSIONS[permission](self, machine):
            raise forbidden()


PERMISSIONS: Final[Mapping[str, Callable[[Call, SimulatedMachine], bool]]] = {
    "view": Call.sees,
    "lock": Call.sees,
    "edit": lambda call, machine: call.sees(machine) and not machine.locked,
    "configure": lambda call, machine: (
        PERMISSIONS["edit"](call, machine) and (machine.status is not Status.READY or call.user.is_superuser)
    ),
    "admin": lambda call, machine: call.user.is_superuser and not machine.locked,
    "superuser": lambda call, _machine: call.user.is_superuser,
    "owner": lambda call, machine: machine.owner == call.user.username and not machine.locked,
}
"""The permissions on machines. ``lock`` is for locking and unlocking; ``superuser`` for reads, and for operations that
check locks themselves; ``configure`` for storage, which only superusers change while nobody owns the machine; ``owner``
for marking a machine broken."""


@dataclass(frozen=True)
class Answer:
    """A response. ``value`` is rendered as JSON unless ``text`` is given.

    MAAS 3.7 indents JSON by four spaces, which makes up half of a machine's 19 kB. It does not indent the version and
    errors.
    """

    value: object = None
    text: str | bytes | None = None
    status: int = 200
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=lambda: BY_USER)
    indented: bool = True

    @property
    def body(self) -> str | bytes:
        """The body as it is sent."""
        if self.text is not None:
            return self.text
        if not (self.indented and self.status == HTTPStatus.OK):
            return json.dumps(self.value)
        # The same text in a tenth of the time: Python's own encoder is slow when it indents.
        body = to_json(self.value, indent=4)
        return body if body.isascii() else json.dumps(self.value, indent=4)


Handler = Callable[[Call], Answer]
Handlers = Mapping[tuple[str, str | None], Handler]
"""Handlers by method and op."""


@dataclass(frozen=True)
class Endpoint:
    """A path and its handlers, by method and op."""

    name: str
    """The name in the description of the API."""
    path: str
    """The path relative to ``/MAAS/api/2.0/``, with variable parts in braces."""
    handlers: Handlers
    anonymous: Collection[tuple[str, str | None]] = ()
    """The handlers for requests without credentials. If there are none, such requests are a 401."""
    is_open: bool = False
    """Whether credentials are ignored."""
    restricted: bool = False
    """Whether only superusers may call it."""
    slashes: bool = False
    """Whether its variable parts may have slashes, as a CIDR has."""

    @property
    def params(self) -> tuple[str, ...]:
        """The names of the variable parts, in order."""
        return tuple(_VARIABLE.findall(self.path))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression for paths of this endpoint, with a group for every variable part."""
        return re.compile(_VARIABLE.sub("(.+)" if self.slashes else "([^/]+)", self.path))


_VARIABLE = re.compile(r"\{(\w+)\}")


def keyed(**handlers: Handler) -> Handlers:
    """Return handlers by method and op: ``POST_release`` is ``op=release``."""
    keys = {name: name.partition("_") for name in handlers}
    return {(method, op or None): handlers[name] for name, (method, _, op) in keys.items()}


def route(name: str, path: str, more: Handlers | None = None, /, **handlers: Handler) -> Endpoint:
    """Make an endpoint of handlers that are named as in ``keyed``, and of more."""
    return Endpoint(name, path, {**keyed(**handlers), **(more or {})})


def parse_body(content_type: str, body: bytes) -> tuple[dict[str, list[str]], object]:
    """Parse a body into a form, and into MAAS's ``data``: the same form, decoded JSON or YAML, or else None.

    A form is urlencoded or multipart. The operations of MAAS that read it ignore all other bodies.
    """
    match content_type.partition(";")[0].strip().lower():
        case "application/x-www-form-urlencoded":
            form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        case "multipart/form-data":
            form = _parse_multipart(content_type, body)
        case "":
            form = {}
        case "application/json":
            return {}, _decode(json.loads, body or b"null")
        case "application/x-yaml":
            return {}, _decode(yaml.safe_load, body)
        case _:
            return {}, None
    return form, form


def as_form(data: object) -> dict[str, list[str]]:
    """Convert decoded JSON to a form, for the operations of MAAS that read ``data``."""
    if not isinstance(data, Mapping):
        raise not_simulated("a body that is neither a form nor a JSON object")
    return {
        name: [_text(each) for each in (value if isinstance(value, list) else [value])] for name, value in data.items()
    }


def _decode(decode: Callable[[bytes], object], body: bytes) -> object:
    try:
        return decode(body)
    except (ValueError, yaml.YAMLError) as error:
        raise Refusal(400, "Bad Request", PLAIN) from error


def _text(value: object) -> str:
    """Convert a value of a JSON body to its form value."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    if not isinstance(value, str | int | float):
        raise not_simulated("reading objects from a JSON body")
    return str(value)


def _parse_multipart(content_type: str, body: bytes) -> dict[str, list[str]]:
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    form: dict[str, list[str]] = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            form.setdefault(name, []).append(payload.decode("utf-8", "replace"))
    return form
