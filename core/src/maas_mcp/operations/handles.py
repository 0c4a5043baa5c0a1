"""Handles: an operation as a short signed string, which any process with the secret can resume.

    acme_flash_firmware.4y3h7n.t5fc8w-1k3-w.Zl0mJ3xH0cS2yQ9dVb1wAg
    operation           machine started-cursor-runs  signature

Before the signature, ``~`` marks a machine on a VM host, and ``=`` an operation for which nothing was sent.

MAAS is the only database. The handle contains everything needed to judge a run from MAAS's own records, and nothing is
stored elsewhere. The signature binds the handle to its user. A handle is untrusted input until it is verified.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from maas_mcp.errors import UnknownOperationError
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.signing import Signer

REGION: Final[SystemId] = "region"
"""The system id in the handles of region operations."""
LIFETIME: Final = 7 * 24 * 3600.0
"""Seconds after the start for which a handle is valid. MAAS eventually deletes old events."""
MAX_LENGTH: Final = 256
"""Maximum length in characters. Longer strings are rejected unread."""

_FORMAT: Final = re.compile(
    r"(?P<operation>\w{1,64})\.(?P<system_id>[a-z0-9]{1,41})\.(?P<facts>[0-9a-z]+-[0-9a-z]+(-[0-9a-z]*)*)(?P<on_vm_host>~?)(?P<reached>=?)",
    re.ASCII,
)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Handle:
    """Everything needed to follow an operation from its start."""

    operation: str
    """The tool's name."""
    system_id: SystemId
    started: int
    """The start time, in whole seconds since 1970 (UTC)."""
    cursor: int
    """The id of the newest event before the start."""
    runs: tuple[int | None, ...]
    """The machine's script sets before the start, as ``Lifecycle.runs`` returns them."""
    on_vm_host: bool = False
    """Whether the machine is a virtual machine of a VM host. MAAS cannot report this after deleting the machine."""
    reached: bool = False
    """Whether the machine already was in the requested state, so that nothing was sent."""


class HandleSigner:
    """Serializes handles to signed strings, and verifies and parses them.

    Args:
        secrets: The secrets shared by all processes that serve each other's operations. The first one signs, and all of
            them verify. So a secret can be replaced without invalidating existing handles.
        principal: The user that handles are bound to. Other users' handles are rejected.
        now: Returns the time in seconds since 1970.
    """

    def __init__(self, secrets: Sequence[bytes], principal: str, now: Callable[[], float] = time.time) -> None:
        self._signer = Signer(secrets, principal)
        self.now = now

    def sign(self, handle: Handle) -> str:
        """Serialize and sign a handle."""
        numbers = (handle.started, handle.cursor, *handle.runs)
        facts = "-".join("" if number is None else _base36(number) for number in numbers)
        text = f"{handle.operation}.{handle.system_id}.{facts}{'~' if handle.on_vm_host else ''}"
        text += "=" if handle.reached else ""
        return f"{text}.{self._signer.sign(text)}"

    def verify(self, text: str) -> Handle:
        """Verify and parse a serialized handle.

        Raises:
            UnknownOperationError: The handle is forged, damaged, expired or another user's. The error does not reveal
                which.
        """
        body, _, signature = text[:MAX_LENGTH].rpartition(".")
        form = _FORMAT.fullmatch(body)
        if form is None or self._signer.secret_of(body, signature) is None:
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


def _base36(number: int) -> str:
    digits = ""
    while number >= len(_DIGITS):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits
