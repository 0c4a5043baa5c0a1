"""Handles: an operation in some dozens of characters, which any process with the secret can pick up again.

    acme_flash_firmware.4y3h7n.t5fc8w-1k3-w.Zl0mJ3xH0cS2yQ9dVb1wAg
    operation           machine started-cursor-runs  seal

Before the seal, a ``~`` says that the machine is on a VM host, and a ``=`` that nothing was sent.

MAAS is the only database: what is needed to judge a run from MAAS's own records stands in the handle, and nothing is
kept elsewhere. The seal binds it to whoever was given it; a handle is untrusted input until it is opened.
"""

import base64
import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from maas_mcp.errors import UnknownOperationError
from maas_mcp.maas.models import SystemId

LIFETIME: Final = 7 * 24 * 3600.0
"""Seconds after its start in which an operation can be asked for: MAAS deletes old events sooner or later."""
SEAL_BYTES: Final = 16
"""128 bits of HMAC-SHA256."""
LONGEST: Final = 256
"""Characters beyond which a text is not even looked at."""

_FORM: Final = re.compile(
    r"(?P<operation>\w{1,64})\.(?P<system_id>[a-z0-9]{1,41})\.(?P<facts>[0-9a-z]+-[0-9a-z]+(-[0-9a-z]*)*)(?P<on_vm_host>~?)(?P<reached>=?)",
    re.ASCII,
)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Handle:
    """What is needed to follow an operation from where it began."""

    operation: str
    """The tool's name."""
    system_id: SystemId
    started: int
    """When it was started, in whole seconds since 1970 (UTC)."""
    cursor: int
    """The newest event's id before the start."""
    runs: tuple[int | None, ...]
    """The machine's script sets before the start, as ``Lifecycle.runs`` gives them."""
    on_vm_host: bool = False
    """Whether the machine is a virtual one of a VM host: once MAAS has deleted it, nothing else tells."""
    reached: bool = False
    """Whether the machine was like what was asked for already, so that nothing was sent."""


class Sealer:
    """Makes handles into texts, and texts that it made itself into handles.

    Args:
        secrets: Shared by all processes that shall answer for each other's operations. The first seals, all of them
            open: so that one can be replaced without losing the handles that it has sealed.
        principal: Who the handles are given to; another one's are not opened.
        now: Seconds since 1970.
    """

    def __init__(self, secrets: Sequence[bytes], principal: str, now: Callable[[], float] = time.time) -> None:
        self._secrets = secrets
        self._principal = principal
        self.now = now

    def seal(self, handle: Handle) -> str:
        """The handle as a text."""
        numbers = (handle.started, handle.cursor, *handle.runs)
        facts = "-".join("" if number is None else _base36(number) for number in numbers)
        text = f"{handle.operation}.{handle.system_id}.{facts}{'~' if handle.on_vm_host else ''}"
        text += "=" if handle.reached else ""
        return f"{text}.{self._seal(text, self._secrets[0])}"

    def open(self, text: str) -> Handle:
        """The handle that was made into ``text``.

        Raises:
            UnknownOperationError: It is forged, damaged, somebody else's or too old; which of these is not told.
        """
        body, _, seal = text[:LONGEST].rpartition(".")
        form = _FORM.fullmatch(body)
        if form is None or not self._is_sealed(body, seal):
            raise UnknownOperationError
        started, cursor, *runs = form["facts"].split("-")
        handle = Handle(
            form["operation"],
            form["system_id"],
            int(started, 36),
            int(cursor, 36),
            tuple(int(run, 36) if run else None for run in runs),
            on_vm_host=bool(form["on_vm_host"]),
            reached=bool(form["reached"]),
        )
        if self.now() > handle.started + LIFETIME:
            raise UnknownOperationError
        return handle

    def _is_sealed(self, text: str, seal: str) -> bool:
        return any(hmac.compare_digest(self._seal(text, each).encode(), seal.encode()) for each in self._secrets)

    def _seal(self, text: str, secret: bytes) -> str:
        signed = hmac.digest(secret, f"{self._principal}\n{text}".encode(), sha256)
        return base64.urlsafe_b64encode(signed[:SEAL_BYTES]).rstrip(b"=").decode()


def _base36(number: int) -> str:
    digits = ""
    while number >= len(_DIGITS):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits
