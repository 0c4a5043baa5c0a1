"""What this project reads of MAAS's JSON: a few fields of many, tolerant of the rest."""

import math
import re
from base64 import b64decode
from email.utils import parsedate_to_datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, StringConstraints, field_validator
from pydantic_core.core_schema import CoreSchema, custom_error_schema

from maas_mcp.maas.reading import JSON, MaasModel
from maas_mcp.maas.statuses import RUN_FIELDS, MachineStatus

SYSTEM_ID_RULE: Final = (
    "A system id is MAAS's short name for a machine, such as 4y3h7n, not its hostname; list the machines to find it. "
    "That list can be filtered by `hostname`"
)
"""What is said where one does not fit: a hostname in its place is the likely mistake."""


class _TellsTheRule:
    """Has pydantic say that, in the place of the pattern that a value does not match."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return custom_error_schema(handler(source), custom_error_type="system_id", custom_error_message=SYSTEM_ID_RULE)


SystemId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,41}$"), _TellsTheRule()]
"""MAAS's short name for a machine, such as ``4y3h7n``; it never changes, a hostname may."""

UNKNOWN_OWNER: Final = "an unknown user"
"""The owner of a machine whose owner cannot be read. No user of MAAS's has a name with blanks in it."""
NO_STATUS: Final = -1
"""The status of a script, or of a script set, that cannot be read. No status of MAAS's has this number."""


def _no_boolean(value: JSON) -> JSON:
    """To pydantic, ``true`` would be 1: as a status, that is *Commissioning*."""
    if isinstance(value, bool):
        raise ValueError("a boolean is no number")  # noqa: TRY004 - pydantic takes a ValueError for a problem
    return value


# Older releases of pydantic ask for these defaults although a field that they are made from is missing.
def _called(known: dict[str, Any]) -> str:
    return str(known.get("system_id", ""))


def _shown(known: dict[str, Any]) -> str:
    status = known.get("status")
    return status.display if isinstance(status, MachineStatus) else f"status {status}"


class Machine(MaasModel):
    """A machine, as ``GET machines/{system_id}/`` shows it (MAAS 3.7: 81 keys, about 19 kB).

    Only ``system_id`` and ``status`` have to be readable: without them nothing can be done with a machine.
    """

    if_unreadable = MappingProxyType({"locked": True, "ephemeral_deploy": True, "owner": UNKNOWN_OWNER})

    system_id: SystemId
    hostname: str = Field(default_factory=_called)
    """The system id, if the hostname cannot be read."""
    fqdn: str = ""
    status: MachineStatus | int = Field(union_mode="left_to_right")
    """An ``int`` where the region knows a status that this release does not."""
    status_name: str = Field(default_factory=_shown)
    status_message: str | None = None
    """The latest event of level INFO or above: it lags, and may be stale. Never read the outcome from it."""
    status_action: str | None = None
    power_state: str = "unknown"
    power_type: str | None = None
    owner: str | None = None
    """``an unknown user`` if it cannot be read: such a machine counts as somebody else's."""
    locked: bool = False
    """True as well if it cannot be read: :attr:`why_locked` says which."""
    netboot: bool = True
    error_description: str = ""
    """Why a run failed, and it stays through later successful runs (MAAS 3.5 and newer)."""
    osystem: str = ""
    distro_series: str = ""
    hwe_kernel: str | None = None
    ephemeral_deploy: bool = False
    """True as well if it cannot be read: MAAS deploys such a machine again when it is switched on."""
    enable_hw_sync: bool = False
    architecture: str | None = None
    cpu_count: int = 0
    memory: int = 0
    """Megabytes."""
    storage: float = 0.0
    """Megabytes of 1,000,000 bytes."""
    zone: str | None = None
    pool: str | None = None
    domain: str | None = None
    pod: str | None = None
    """The VM host that it is a virtual machine of (MAAS 3.3 to 3.7; 3.8 does not say)."""
    tag_names: list[str] = Field(default_factory=list)
    ip_addresses: list[str] = Field(default_factory=list)
    description: str = ""
    current_commissioning_result_id: int | None = None
    current_testing_result_id: int | None = None
    current_installation_result_id: int | None = None
    commissioning_status_name: str = ""
    testing_status_name: str = ""

    _numbers = field_validator(
        "status",
        "current_commissioning_result_id",
        "current_testing_result_id",
        "current_installation_result_id",
        mode="before",
    )(_no_boolean)

    @field_validator("cpu_count", "memory", mode="before")
    @classmethod
    def _whole(cls, value: JSON) -> JSON:
        return int(value) if isinstance(value, float) and math.isfinite(value) else _no_boolean(value)

    @field_validator("zone", "pool", "domain", "pod", mode="before")
    @classmethod
    def _name_of(cls, value: JSON) -> JSON:
        return value.get("name") if isinstance(value, dict) else value

    @field_validator("error_description", "description", "osystem", "distro_series", mode="before")
    @classmethod
    def _null_is_empty(cls, value: JSON) -> JSON:
        return "" if value is None else value

    @property
    def why_locked(self) -> str:
        """The words for a locked machine in a refusal: ``is locked``, or that `locked` cannot be read."""
        if "locked" in self.unreadable:
            return "counts as locked, because MAAS's `locked` cannot be read"
        return "is locked"

    def run(self, status: MachineStatus) -> int | None:
        """The script set of the latest run that shows as ``status``, or ``None`` where there is none."""
        field = RUN_FIELDS.get(status)
        return getattr(self, field) if field else None


NO_USER: Final = "unknown"
"""The ``username`` of events that are the system's own."""
_STATUS_CHANGE: Final = re.compile(r"^From '(?P<old>[^']+)' to '(?P<new>[^']+)'")


class Event(MaasModel):
    """An event, as ``GET events/?op=query`` shows it. Order events by ``id``: ``created`` is often the node's clock."""

    id: int = Field(ge=0, lt=2**63)
    """A larger one is no id of MAAS's database: it would hide every event that comes after it."""
    node: str = ""
    """The machine's system id; empty where the event is of none."""
    hostname: str = ""
    level: str = ""
    """``DEBUG``, ``INFO``, ``WARNING``, ``ERROR``, ``CRITICAL`` or ``AUDIT``."""
    type: str = ""
    """The text that MAAS shows, such as ``Loading ephemeral``; its internal name is not in the API."""
    description: str = ""
    username: str = NO_USER
    """Who caused it; ``unknown`` for the system's own."""
    created: str = ""

    _numbers = field_validator("id", mode="before")(_no_boolean)

    @field_validator("node", mode="before")
    @classmethod
    def _null_is_none_of_them(cls, value: JSON) -> JSON:
        return "" if value is None else value

    @property
    def at(self) -> float | None:
        """``created`` in seconds since 1970, where it can be read."""
        try:
            return parsedate_to_datetime(f"{self.created.replace('.', '')} +0000").timestamp()
        except (ValueError, OverflowError):
            return None

    @property
    def text(self) -> str:
        """Type and description in one line, as MAAS writes a ``status_message``."""
        return f"{self.type} - {self.description}" if self.description else self.type

    @property
    def status_change(self) -> tuple[MachineStatus | None, MachineStatus | None] | None:
        """The old and the new status of a ``Node changed status`` event; ``None`` for every other event."""
        if self.type != "Node changed status":
            return None
        match = _STATUS_CHANGE.match(self.description)
        if match is None:
            return None
        return MachineStatus.from_display(match["old"]), MachineStatus.from_display(match["new"])


class ScriptStatus(IntEnum):
    """The status of one script of a run, by MAAS's number."""

    PENDING = 0
    RUNNING = 1
    PASSED = 2
    FAILED = 3
    TIMED_OUT = 4
    ABORTED = 5
    DEGRADED = 6
    INSTALLING_DEPENDENCIES = 7
    FAILED_INSTALLING_DEPENDENCIES = 8
    SKIPPED = 9
    APPLYING_NETWORK_CONFIGURATION = 10
    FAILED_APPLYING_NETWORK_CONFIGURATION = 11


FAILED_SCRIPT: Final = frozenset(
    {
        ScriptStatus.FAILED,
        ScriptStatus.TIMED_OUT,
        ScriptStatus.FAILED_INSTALLING_DEPENDENCIES,
        ScriptStatus.FAILED_APPLYING_NETWORK_CONFIGURATION,
    }
)


_TARGETS: Final = frozenset({"storage", "interface"})
"""Types of a script's parameters that name what it runs on."""


class ScriptResult(MaasModel):
    """One script of a script set."""

    id: int = 0
    name: str = "unnamed script"
    status: ScriptStatus | int = Field(default=NO_STATUS, union_mode="left_to_right")
    """An ``int`` where the region knows a status that this release does not; -1 if it cannot be read."""
    status_name: str = "Unknown"
    exit_status: int | None = None
    starttime: float | None = None
    """When it began, in seconds since 1970 by the region's clock."""
    runtime: str = ""
    estimated_runtime: str = ""
    target: str | None = Field(default=None, validation_alias="parameters")
    """The disk or the network interface that it ran on, where it is run for each: ``nvme0n1``."""
    output: str = ""
    """What the script printed, decoded; empty unless the output was asked for."""

    _numbers = field_validator("id", "status", "exit_status", mode="before")(_no_boolean)

    @field_validator("target", mode="before")
    @classmethod
    def _name_of_target(cls, parameters: JSON) -> JSON:
        """MAAS 3.7: ``{"storage": {"type": "storage", "value": {"name": "sda", …}}}``; others are no target."""
        for each in parameters.values() if isinstance(parameters, dict) else ():
            kind, value = (each.get("type"), each.get("value")) if isinstance(each, dict) else (None, None)
            if isinstance(kind, str) and kind in _TARGETS and isinstance(value, dict):
                name = value.get("name")
                return name if isinstance(name, str) and name else None
        return None

    @field_validator("starttime", mode="before")
    @classmethod
    def _empty_is_none(cls, value: JSON) -> JSON:
        return None if value == "" else value

    @field_validator("output", mode="before")
    @classmethod
    def _decoded(cls, value: JSON) -> JSON:
        if not isinstance(value, str):
            return ""
        try:
            return b64decode(value, validate=True).decode("utf-8", "replace")
        except ValueError:
            return value

    @property
    def label(self) -> str:
        """Its name, and what it ran on, as MAAS's events write it: ``smartctl-validate on sda``."""
        return f"{self.name} on {self.target}" if self.target else self.name

    @property
    def failed(self) -> bool:
        """Whether the script itself went wrong, as against being skipped or aborted."""
        return self.status in FAILED_SCRIPT


class ScriptSetName(StrEnum):
    """The script set of a machine's latest run, by the alias that the API takes in its path."""

    COMMISSIONING = "current-commissioning"
    TESTING = "current-testing"
    INSTALLATION = "current-installation"


SCRIPT_SETS: Final = {
    MachineStatus.COMMISSIONING: ScriptSetName.COMMISSIONING,
    MachineStatus.TESTING: ScriptSetName.TESTING,
    MachineStatus.DEPLOYING: ScriptSetName.INSTALLATION,
}
"""The script set of the run that a status shows."""


class ScriptSet(MaasModel):
    """The scripts of one run, as ``GET nodes/{system_id}/results/{name}/`` shows them."""

    id: int
    status: ScriptStatus | int = Field(default=NO_STATUS, union_mode="left_to_right")
    """As that of a script."""
    status_name: str = "Unknown"
    results: tuple[ScriptResult, ...] = ()

    _numbers = field_validator("id", "status", mode="before")(_no_boolean)


class User(MaasModel):
    """The user whose API key is used, as ``GET users/?op=whoami`` shows it."""

    username: str
    is_superuser: bool = Field(default=False, description="Whether the user is a MAAS administrator.")
