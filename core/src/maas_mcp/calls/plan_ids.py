"""Plan ids: each is a plan as a signed text, which any process with the secret can verify.

    AGpy…9Q.Zl0mJ3xH0cS2yQ9dVb1wAg
    body    signature

Nothing is stored anywhere else. The body has the tool, a digest of the arguments, the state of each machine, the
expiry, and a digest of the user who made the plan. A plan id is untrusted input until it is verified.
"""

import json
import secrets
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from maas_mcp.errors import PlanRefusedError
from maas_mcp.maas.models import Machine, SystemId
from maas_mcp.operations.signing import Signer, decode, derive_keys, digest, encode

LIFETIME: Final = 600
"""Seconds for which a plan can be applied."""
NONCE_BYTES: Final = 5
DIGEST_BYTES: Final = 12
"""Nobody can guess secret arguments from their digest, because it is keyed."""
MAKER_BYTES: Final = 8
MAX_LENGTH: Final = 16_384
"""Maximum length in characters. Longer texts are rejected unread."""
MAX_BODY: Final = 262_144
"""Maximum bytes of the decompressed states of machines."""
PURPOSE: Final = b"maas-mcp: plans"
"""Derives the keys, so that no plan id can pass for an operation id."""

_HEAD: Final = struct.Struct(f">?I{NONCE_BYTES}s{MAKER_BYTES}s{DIGEST_BYTES}s")
_FREQUENT: Final = b'["maas_release_machine",[["","admin",false,"default","default"],6,4,10,null'
"""Texts that most bodies contain. With them, the bodies compress well."""


@dataclass(frozen=True, slots=True)
class MachineState:
    """The state of a machine on which a plan depends."""

    system_id: SystemId
    status: int
    owner: str | None
    locked: bool
    pool: str | None
    zone: str | None

    @classmethod
    def of(cls, machine: Machine) -> Self:
        """The state of a machine as read from MAAS."""
        return cls(machine.system_id, int(machine.status), machine.owner, machine.locked, machine.pool, machine.zone)


def machine_states(machines: Iterable[Machine]) -> list[MachineState]:
    """The states of these machines, in the order of their ids."""
    return sorted((MachineState.of(each) for each in machines), key=lambda each: each.system_id)


@dataclass(frozen=True, slots=True)
class PlanUser:
    """The user who makes or applies a plan."""

    access: str
    """The principal, and the MAAS user by its API key. The plans of other principals and users are unknown to it."""
    person: str
    """The name by which persons are distinguished if another person must apply the plan."""


@dataclass(frozen=True, slots=True)
class VerifiedPlan:
    """A verified plan."""

    tool: str
    expires: int
    """Seconds since 1970 (UTC)."""
    nonce: bytes
    second_person: bool
    """Whether another person must apply it."""
    states: Sequence[MachineState]
    arguments_digest: bytes
    maker_digest: bytes
    key: bytes
    """Signs the plan."""
    is_expired: bool

    def has(self, arguments: BaseModel) -> bool:
        """Whether the plan was made with these arguments."""
        return secrets.compare_digest(_digest_of(arguments, self.key), self.arguments_digest)

    def was_made_by(self, user: PlanUser) -> bool:
        """Whether this user made the plan."""
        own = user.person if self.second_person else user.access
        return secrets.compare_digest(_digest_of_maker(own, self.key, self.second_person), self.maker_digest)


class PlanSigner:
    """Signs and verifies plan ids.

    Args:
        secrets: The secrets shared by all processes that apply each other's plans. The first one signs, and all of them
            verify.
        region: The URL of the region.
        now: Returns the time in seconds since 1970.
    """

    def __init__(self, secrets: Sequence[bytes], region: str, now: Callable[[], float]) -> None:
        self._keys = derive_keys(secrets, PURPOSE)
        self._signer = Signer(self._keys, region)
        self._now = now

    def sign(
        self,
        tool: str,
        arguments: BaseModel,
        machines: Iterable[Machine],
        user: PlanUser,
        nonce: bytes,
        *,
        second_person: bool = False,
    ) -> str:
        """Return the id of a plan.

        Args:
            tool: The name of the tool.
            arguments: Its arguments, with their defaults.
            machines: The machines as they are now.
            user: The user who makes the plan.
            nonce: Makes the plan unique.
            second_person: Whether another person must apply it.
        """
        key = self._keys[0]
        head = _HEAD.pack(
            second_person,
            int(self._now()) + LIFETIME,
            nonce,
            _digest_of_maker(user.person if second_person else user.access, key, second_person),
            _digest_of(arguments, key),
        )
        states = machine_states(machines)
        rows = [[each.system_id, each.status, each.owner, each.locked, each.pool, each.zone] for each in states]
        body = encode(head + _compress(json.dumps([tool, rows], separators=(",", ":")).encode()))
        return f"{body}.{self._signer.sign(body)}"

    def verify(self, text: str) -> VerifiedPlan:
        """Verify and parse a plan id. The plan may be another user's, and it may have expired.

        Raises:
            PlanRefusedError: The id is forged or damaged, or another region's.
        """
        body, _, signature = text[:MAX_LENGTH].rpartition(".")
        key = self._signer.secret_of(body, signature)
        if key is None:
            raise PlanRefusedError
        content = decode(body)
        second_person, expires, nonce, maker, arguments = _HEAD.unpack(content[: _HEAD.size])
        tool, rows = json.loads(_decompress(content[_HEAD.size :]))
        return VerifiedPlan(
            tool,
            expires,
            nonce,
            second_person,
            [MachineState(*row) for row in rows],
            arguments,
            maker,
            key,
            is_expired=self._now() > expires,
        )


class AppliedPlans:
    """The plans that this process has applied. Other processes do not know of them."""

    def __init__(self) -> None:
        self._by_nonce: dict[bytes, tuple[int, object]] = {}
        """The expiry of each plan, and the call that applied it."""

    def claim(self, plan: VerifiedPlan, call: object) -> None:
        """Let a call apply a plan.

        Raises:
            PlanRefusedError: Another call has applied it.
        """
        earliest = plan.expires - LIFETIME
        self._by_nonce = {nonce: each for nonce, each in self._by_nonce.items() if each[0] >= earliest}
        if self._by_nonce.setdefault(plan.nonce, (plan.expires, call))[1] is not call:
            raise PlanRefusedError("The plan was already applied.")


def new_nonce() -> bytes:
    """Return random bytes that make a plan unique."""
    return secrets.token_bytes(NONCE_BYTES)


def _digest_of(arguments: BaseModel, key: bytes) -> bytes:
    content = json.dumps(dict(arguments), sort_keys=True, separators=(",", ":"), default=_reveal)
    return digest(key, content.encode(), DIGEST_BYTES)


def _digest_of_maker(maker: str, key: bytes, second_person: bool) -> bytes:
    return digest(key, f"{'person' if second_person else 'access'} {maker}".encode(), MAKER_BYTES)


def _reveal(value: object) -> Any:
    match value:
        case SecretStr() | SecretBytes():
            return to_jsonable_python(value.get_secret_value(), bytes_mode="base64")
        case BaseModel():  # model_dump would leave out fields
            return dict(value)
        case set() | frozenset():
            return sorted(value, key=repr)
    return to_jsonable_python(value, bytes_mode="base64")


def _compress(content: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS, zdict=_FREQUENT)
    return packer.compress(content) + packer.flush()


def _decompress(content: bytes) -> bytes:
    return zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=_FREQUENT).decompress(content, MAX_BODY)
