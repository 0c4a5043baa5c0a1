"""Models of MAAS's JSON objects, with the fields that this project uses."""

import math
import re
from base64 import b64decode
from email.utils import parsedate_to_datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints, field_validator
from pydantic_core.core_schema import CoreSchema, custom_error_schema

from maas_mcp.maas.reading import JSON, MaasModel
from maas_mcp.maas.statuses import RUN_FIELDS, MachineStatus
from maas_mcp.machine_text import FromMachine

SYSTEM_ID_RULE: Final = (
    "A system id is MAAS's short id of a machine, such as 4y3h7n, not its hostname. To find it, list the machines, "
    "filtered by `hostname`"
)
"""The message for an invalid system id. Callers usually passed a hostname."""


class SystemIdRule:
    """Replaces pydantic's message about the pattern, and does not publish the pattern, which most hostnames match."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return custom_error_schema(handler(source), custom_error_type="system_id", custom_error_message=SYSTEM_ID_RULE)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string"}


SystemId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,41}$"), SystemIdRule()]
"""MAAS's short id of a machine, such as ``4y3h7n``. It never changes, while a hostname may."""

CompleteText = Annotated[str, FromMachine()]
"""Text that a machine or its user controls, complete."""

UNKNOWN_OWNER: Final = "an unknown user"
"""The owner of a machine whose owner is unreadable. MAAS user names contain no spaces."""
UNREADABLE_STATUS: Final = -1
"""The unreadable status of a script or script set. MAAS uses no negative numbers."""


def _reject_boolean(value: JSON) -> JSON:
    """Reject a boolean: pydantic reads ``true`` as 1, which is the status *Commissioning*."""
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")  # noqa: TRY004 - pydantic expects a ValueError
    return value


# Older releases of pydantic compute these defaults even if a field that they need is missing.
def _default_hostname(known: dict[str, Any]) -> str:
    return str(known.get("system_id", ""))


def _default_status_name(known: dict[str, Any]) -> str:
    status = known.get("status")
    return status.display if isinstance(status, MachineStatus) else f"status {status}"


class Machine(MaasModel):
    """A machine from ``GET machines/{system_id}/`` (MAAS 3.7: 81 keys, about 19 kB).

    Only ``system_id`` and ``status`` are required. No operation is possible without them.
    """

    if_unreadable = MappingProxyType({"locked": True, "ephemeral_deploy": True, "owner": UNKNOWN_OWNER})

    system_id: SystemId
    hostname: CompleteText = Field(default_factory=_default_hostname)
    """The system id if the hostname is unreadable."""
    fqdn: CompleteText = ""
    status: MachineStatus | int = Field(union_mode="left_to_right")
    """An ``int`` for a status that this release does not know."""
    status_name: str = Field(default_factory=_default_status_name)
    status_message: CompleteText | None = None
    """The latest event of level INFO or above. It lags and may be stale, so never derive the outcome from it."""
    status_action: str | None = None
    power_state: str = "unknown"
    power_type: str | None = None
    owner: str | None = None
    """``an unknown user`` if it is unreadable. Such a machine is treated as another user's."""
    locked: bool = False
    """Also true if it is unreadable; :attr:`why_locked` has the reason."""
    netboot: bool = True
    error_description: CompleteText = ""
    """The reason why a run failed. MAAS keeps it through later successful runs (MAAS 3.5 and newer)."""
    osystem: CompleteText = ""
    distro_series: CompleteText = ""
    hwe_kernel: CompleteText | None = None
    ephemeral_deploy: bool = False
    """Also true if it is unreadable. MAAS deploys an ephemeral machine again when it is powered on."""
    enable_hw_sync: bool = False
    architecture: CompleteText | None = None
    cpu_count: int = 0
    memory: int = 0
    """Megabytes."""
    storage: float = 0.0
    """Megabytes of 1,000,000 bytes."""
    zone: CompleteText | None = None
    pool: CompleteText | None = None
    domain: CompleteText | None = None
    pod: CompleteText | None = None
    """The VM host of a virtual machine (MAAS 3.3 to 3.7; missing in 3.8)."""
    tag_names: list[CompleteText] = Field(default_factory=list)
    ip_addresses: list[str] = Field(default_factory=list)
    description: CompleteText = ""
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
    )(_reject_boolean)

    @field_validator("cpu_count", "memory", mode="before")
    @classmethod
    def _whole(cls, value: JSON) -> JSON:
        return int(value) if isinstance(value, float) and math.isfinite(value) else _reject_boolean(value)

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
        """The predicate for a locked machine in messages: ``is locked``, or that `locked` is unreadable."""
        if "locked" in self.unreadable:
            return "is treated as locked, because MAAS's `locked` is unreadable"
        return "is locked"

    def run(self, status: MachineStatus) -> int | None:
        """Return the script set of the latest run whose status was ``status``, or ``None`` without one."""
        field = RUN_FIELDS.get(status)
        return getattr(self, field) if field else None


SYSTEM_USERNAME: Final = "unknown"
"""The ``username`` of events that no user caused."""
_STATUS_CHANGE: Final = re.compile(r"^From '(?P<old>[^']+)' to '(?P<new>[^']+)'")


class Event(MaasModel):
    """An event from ``GET events/?op=query``. Sort events by ``id``, because ``created`` is often the node's clock."""

    id: int = Field(ge=0, lt=2**63)
    """MAAS's database has no larger ids. A larger one would hide every later event."""
    node: str = ""
    """The machine's system id; empty for an event without a machine."""
    hostname: CompleteText = ""
    level: str = ""
    """``DEBUG``, ``INFO``, ``WARNING``, ``ERROR``, ``CRITICAL`` or ``AUDIT``."""
    type: str = ""
    """The text that MAAS shows, such as ``Loading ephemeral``. The API does not have the internal name."""
    description: CompleteText = ""
    username: str = SYSTEM_USERNAME
    """The user who caused the event; ``unknown`` for the system's own."""
    created: str = ""

    _numbers = field_validator("id", mode="before")(_reject_boolean)

    @field_validator("node", mode="before")
    @classmethod
    def _null_is_empty(cls, value: JSON) -> JSON:
        return "" if value is None else value

    @property
    def at(self) -> float | None:
        """``created`` in seconds since 1970, or ``None`` if it is unreadable."""
        try:
            return parsedate_to_datetime(f"{self.created.replace('.', '')} +0000").timestamp()
        except (ValueError, OverflowError):
            return None

    @property
    def text(self) -> str:
        """Type and description in one line, as in a ``status_message``, with the description quoted."""
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
    """The status of one script of a run, with MAAS's number."""

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


FAILED_SCRIPT_STATUSES: Final = frozenset(
    {
        ScriptStatus.FAILED,
        ScriptStatus.TIMED_OUT,
        ScriptStatus.FAILED_INSTALLING_DEPENDENCIES,
        ScriptStatus.FAILED_APPLYING_NETWORK_CONFIGURATION,
    }
)


_TARGET_TYPES: Final = frozenset({"storage", "interface"})
"""Types of a script's parameters that name the device it runs on."""


class ScriptResult(MaasModel):
    """One script of a script set."""

    id: int = 0
    name: CompleteText = "unnamed script"
    status: ScriptStatus | int = Field(default=UNREADABLE_STATUS, union_mode="left_to_right")
    """An ``int`` for a status that this release does not know; -1 if it is unreadable."""
    status_name: str = "Unknown"
    exit_status: int | None = None
    starttime: float | None = None
    """The start time in seconds since 1970, by the region's clock."""
    runtime: str = ""
    estimated_runtime: str = ""
    target: CompleteText | None = Field(default=None, validation_alias="parameters")
    """The disk or network interface of a script that runs once per device, such as ``nvme0n1``."""
    output: CompleteText = ""
    """The script's output, decoded; empty unless it was requested."""

    _numbers = field_validator("id", "status", "exit_status", mode="before")(_reject_boolean)

    @field_validator("target", mode="before")
    @classmethod
    def _name_of_target(cls, parameters: JSON) -> JSON:
        """Read the device's name from ``{"storage": {"type": "storage", "value": {"name": "sda", …}}}`` (MAAS 3.7)."""
        for each in parameters.values() if isinstance(parameters, dict) else ():
            kind, value = (each.get("type"), each.get("value")) if isinstance(each, dict) else (None, None)
            if isinstance(kind, str) and kind in _TARGET_TYPES and isinstance(value, dict):
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
        """The script's name and device as in MAAS's events: ``smartctl-validate on sda``."""
        return f"{self.name} on {self.target}" if self.target else self.name

    @property
    def failed(self) -> bool:
        """Whether the script failed. Skipped and aborted scripts have not failed."""
        return self.status in FAILED_SCRIPT_STATUSES


class ScriptSetName(StrEnum):
    """The script set of a machine's latest run, by its alias in the API's paths."""

    COMMISSIONING = "current-commissioning"
    TESTING = "current-testing"
    INSTALLATION = "current-installation"


SCRIPT_SETS: Final = {
    MachineStatus.COMMISSIONING: ScriptSetName.COMMISSIONING,
    MachineStatus.TESTING: ScriptSetName.TESTING,
    MachineStatus.DEPLOYING: ScriptSetName.INSTALLATION,
}
"""The script set of a run, by the machine's status during the run."""


class ScriptSet(MaasModel):
    """The scripts of one run, from ``GET nodes/{system_id}/results/{name}/``."""

    id: int
    status: ScriptStatus | int = Field(default=UNREADABLE_STATUS, union_mode="left_to_right")
    """An ``int`` or -1 as for a script."""
    status_name: str = "Unknown"
    results: tuple[ScriptResult, ...] = ()

    _numbers = field_validator("id", "status", mode="before")(_reject_boolean)


class User(MaasModel):
    """The user of the API key, from ``GET users/?op=whoami``."""

    username: str
    is_superuser: bool = Field(default=False, description="Whether the user is a MAAS administrator.")
