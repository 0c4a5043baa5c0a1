"""A parsed request as handlers get it, with its user and parameters, and the response."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qs

from pydantic_core import to_json

from maas_simulator.model.auth import User
from maas_simulator.model.forms import Form
from maas_simulator.model.machines import SimulatedMachine
from maas_simulator.model.refusals import BY_USER, JSON_TYPE, PLAIN, Refusal, forbidden, not_found, not_simulated
from maas_simulator.state import RegionState


@dataclass(frozen=True)
class Call:
    """A parsed request; ``parts`` are the variable parts of its path."""

    region: RegionState
    user: User
    path: str
    raw_query: str
    query: Form
    form: Form
    parts: tuple[str, ...]
    method: str = "GET"

    def machine(self, kind: str = "Machine") -> SimulatedMachine:
        """The machine in the path: 404 if there is none, 403 if the user may not see it."""
        machine = self.region.machines.get(self.parts[0])
        if machine is None:
            raise not_found(kind)
        if not self.sees(machine):
            raise forbidden()
        return machine

    def sees(self, machine: SimulatedMachine) -> bool:
        """Whether the user may see the machine. Superusers see all; others see their own and unowned machines."""
        return self.user.is_superuser or machine.owner in (None, self.user.username)

    def check_permission(self, permission: str, machine: SimulatedMachine) -> None:
        """Raise a 403 unless the user has this permission on the machine.

        The permissions are ``edit``, ``lock`` and ``admin``, and ``owner`` for marking it broken. A lock denies all of
        them except ``lock``. ``superuser`` ignores locks: it is for reads, and for operations that check locks
        themselves.
        """
        allowed = self.sees(machine)
        if permission in ("admin", "superuser"):
            allowed = self.user.is_superuser
        if permission == "owner":
            allowed = machine.owner == self.user.username
        if not allowed or (machine.locked and permission in ("edit", "admin", "owner")):
            raise forbidden()


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


@dataclass(frozen=True)
class Endpoint:
    """A path and its handlers, by method and op.

    ``anonymous``: without credentials it returns 400 instead of 401. ``restricted``: only superusers may call it.
    """

    name: str
    """The name in the description of the API."""
    path: str
    """The path relative to ``/MAAS/api/2.0/``, with variable parts in braces."""
    handlers: Mapping[tuple[str, str | None], Handler]
    anonymous: bool = False
    restricted: bool = False

    @property
    def params(self) -> tuple[str, ...]:
        """The names of the variable parts, in order."""
        return tuple(_VARIABLE.findall(self.path))

    @property
    def methods(self) -> list[str]:
        """The HTTP methods that exist, in the order of a 405's ``Allow``, which is arbitrary in MAAS."""
        return sorted({method for method, _ in self.handlers})

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression for paths of this endpoint, with a group for every variable part."""
        return re.compile(_VARIABLE.sub("([^/]+)", self.path))


_VARIABLE = re.compile(r"\{(\w+)\}")


def parse_form(content_type: str, body: bytes, *, takes_json: bool = False) -> dict[str, list[str]]:
    """Parse a urlencoded or multipart body. JSON parameters are ignored, as in most of MAAS's operations."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            given = json.loads(body or b"null")
        except ValueError as error:
            raise Refusal(400, "Bad Request", PLAIN) from error
        return {name: [_text(value)] for name, value in given.items()} if takes_json and isinstance(given, dict) else {}
    if kind == "multipart/form-data":
        return _parse_multipart(content_type, body)
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)


def _text(value: object) -> str:
    """Convert a value of a JSON body to its form value."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    if not isinstance(value, str):
        raise not_simulated("reading numbers, lists and objects from a JSON body")
    return value


def _parse_multipart(content_type: str, body: bytes) -> dict[str, list[str]]:
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    form: dict[str, list[str]] = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            form.setdefault(name, []).append(payload.decode("utf-8", "replace"))
    return form
