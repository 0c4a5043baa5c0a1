"""The site's policy, as it is written in the table ``[policy]`` of the configuration file."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from maas_mcp.policy.freezing import Freeze
from maas_mcp.policy.limits import LIMITS, Limit
from maas_mcp.policy.table import PolicyTable
from maas_mcp.setting_types import Names, UserPath, lower

Response = Annotated[Literal["allow", "confirm", "plan", "refuse"], BeforeValidator(lower)]
"""The response to a call, from the most to the least permissive.

``allow`` runs the call. ``confirm`` asks the user first; a client that cannot ask needs a plan. ``plan`` requires a
plan. ``refuse`` refuses the call.
"""

READ_ONLY: Final = "read-only"
STANDARD: Final = "standard"
UNATTENDED: Final = "unattended"


class Mode(PolicyTable):
    """The response to the calls of each tier. Calls that only read are always allowed."""

    operate: Response = Field(
        default="allow", description="Response to calls that change MAAS, but lose no workload and no data."
    )
    destroy: Response = Field(
        default="confirm", description="Response to calls that can lose a machine's workload or data."
    )

    @property
    def reads_only(self) -> bool:
        """Whether the mode refuses every change."""
        return self.operate == self.destroy == "refuse"


MODES: Final[Mapping[str, Mode]] = MappingProxyType(
    {
        READ_ONLY: Mode.model_construct(operate="refuse", destroy="refuse"),
        STANDARD: Mode.model_construct(),
        UNATTENDED: Mode.model_construct(destroy="plan"),
    }
)
"""The modes that exist without configuration."""


class Protection(PolicyTable):
    """The machines that no tool may change. A machine is protected if it matches at least one rule."""

    tags: Names = Field(default=("protected",), description="Tags of protected machines.")
    pools: Names = Field(default=(), description="Resource pools of protected machines.")
    zones: Names = Field(default=(), description="Zones of protected machines.")
    hostnames: Names = Field(default=(), description="Hostnames of protected machines, such as `db-*`.")
    other_owners: bool = Field(default=False, description="Whether machines of other MAAS users are protected.")

    @property
    def protects_any(self) -> bool:
        """Whether there is any rule."""
        return bool(self.tags or self.pools or self.zones or self.hostnames or self.other_owners)


NO_LIMIT: Final = Limit.model_construct()


class Policy(PolicyTable):
    """The table ``[policy]``."""

    modes: Mapping[str, Mode] = Field(
        default_factory=dict,
        description="Modes, each with its response to the tiers `operate` and `destroy`. A mode replaces the built-in "
        "one of the same name.",
    )
    protect: Protection = Protection.model_construct()
    second_person: Names = Field(
        default=(),
        description="Kinds of calls that one person must plan and another must apply: `erase`, `destroy`, `operate`, "
        "or a tool's limit such as `release`.",
    )
    trust_prompts: bool = Field(
        default=True,
        description="Whether a client's answer counts as the user's. If false, calls that need an answer need a plan.",
    )
    untrusted_clients: Names = Field(
        default=(), description="Clients whose answers do not count, by the name that they send: `agent-*`."
    )
    freeze: tuple[Freeze, ...] = Field(default=(), description="Freeze windows, in which calls are refused.")
    limits: Mapping[str, Limit] = Field(
        default_factory=dict,
        description="Limits on the number of machines that calls change, by kind: deploy, release, erase, power, or "
        "the limit of another tool. A limit replaces the built-in one of the same name.",
    )
    usage_file: UserPath = Field(
        default=None,
        description="SQLite file in which several servers count the machines together. By default each server counts "
        "its own.",
    )

    def limit(self, kind: str) -> Limit:
        """Return the limit of a kind of change: the site's, or else the built-in one."""
        return self.limits.get(kind) or LIMITS.get(kind) or NO_LIMIT

    def trusts_prompts_of(self, client: str) -> bool:
        """Whether the answers of a client count as the user's. ``client`` is the name that it sends."""
        name = client.lower()
        return self.trust_prompts and not any(fnmatchcase(name, each.lower()) for each in self.untrusted_clients)

    def mode(self, name: str) -> Mode:
        """Return the mode ``name``: the site's, or else the built-in one.

        Raises:
            KeyError: There is no such mode.
        """
        return self.modes[name] if name in self.modes else MODES[name]

    @property
    def mode_names(self) -> list[str]:
        """The names of all modes."""
        return list({**MODES, **self.modes})

    @model_validator(mode="after")
    def _keep_read_only(self) -> Self:
        changed = self.modes.get(READ_ONLY)
        if changed is not None and changed != MODES[READ_ONLY]:
            raise ValueError(
                f"modes.{READ_ONLY} allows changes; a mode with this name must refuse them. Choose another name"
            )
        return self
