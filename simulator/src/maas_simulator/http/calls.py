"""One request as handlers see it: who asks for what, with which parameters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
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
    """A request that was understood: ``parts`` are the variable parts of its path."""

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
        """Whether the user may see it: their own, nobody's, or all for a superuser."""
        return self.user.is_superuser or machine.owner in (None, self.user.username)

    def check_may(self, permission: str, machine: SimulatedMachine) -> None:
        """403 unless the user may ``edit``, ``lock``, ``admin`` or, as its ``owner``, break this machine.

        A lock is held against all of these but ``lock``, and against no ``superuser`` who only looks, or whom the
        operation itself refuses in other words.
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
    """What is sent back; ``value`` is rendered as JSON unless ``text`` is given.

    MAAS 3.7 indents it by four: of the 19 kB of a machine that makes nine. Its version and what is wrong it does not.
    """

    value: object = None
    text: str | bytes | None = None
    status: int = 200
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=lambda: BY_USER)
    indented: bool = True

    @property
    def body(self) -> str | bytes:
        """What to send."""
        if self.text is not None:
            return self.text
        if not (self.indented and self.status == HTTPStatus.OK):
            return json.dumps(self.value)
        # The same text, in a tenth of the time: Python's own encoder is slow as soon as it has to indent.
        body = to_json(self.value, indent=4)
        return body if body.isascii() else json.dumps(self.value, indent=4)


def parse_form(content_type: str, body: bytes, *, takes_json: bool = False) -> dict[str, list[str]]:
    """The parameters in a body: urlencoded or multipart. Those in JSON are lost, as MAAS mostly loses them."""
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
    """A value in a JSON body as a form would have it."""
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
