"""The site's policy, as it is written in the table ``[policy]`` of the configuration file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from maas_mcp.setting_types import lower

Response = Annotated[Literal["allow", "confirm", "plan", "refuse"], BeforeValidator(lower)]
"""The response to a call, from the widest to the narrowest.

``allow`` runs it. ``confirm`` asks the user first; a client that cannot ask needs a plan. ``plan`` requires the id of a
plan. ``refuse`` refuses it.
"""

READ_ONLY: Final = "read-only"
STANDARD: Final = "standard"
UNATTENDED: Final = "unattended"


class PolicyTable(BaseModel):
    """The base of the policy's tables: unknown keys are errors, because a misspelt rule would protect nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Mode(PolicyTable):
    """The response to the calls of each tier. Calls that only read are always allowed."""

    operate: Response = Field(default="allow", description="Response to calls that lose nothing on a machine.")
    destroy: Response = Field(
        default="confirm", description="Response to calls that lose what runs or lies on a machine."
    )

    @property
    def reads_only(self) -> bool:
        """Whether the mode refuses every change."""
        return self.operate == self.destroy == "refuse"


MODES: Final[Mapping[str, Mode]] = MappingProxyType(
    {
        READ_ONLY: Mode(operate="refuse", destroy="refuse"),
        STANDARD: Mode(),
        UNATTENDED: Mode(destroy="plan"),
    }
)
"""The modes that exist without configuration."""


class Protection(PolicyTable):
    """The machines that no tool changes for any caller. A machine is protected if one of these applies."""

    tags: tuple[str, ...] = Field(default=("protected",), description="Tags of protected machines.")
    pools: tuple[str, ...] = Field(default=(), description="Resource pools of protected machines.")
    zones: tuple[str, ...] = Field(default=(), description="Zones of protected machines.")
    hostnames: tuple[str, ...] = Field(default=(), description="Hostnames of protected machines, such as `db-*`.")
    other_owners: bool = Field(default=False, description="Whether machines of other MAAS users are protected.")


class Policy(PolicyTable):
    """The table ``[policy]``."""

    modes: Mapping[str, Mode] = Field(
        default_factory=dict, description="The response to each tier in a mode, which replaces that of a built-in mode."
    )
    protect: Protection = Protection()

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
                f"modes.{READ_ONLY} allows changes; expected a mode of that name to refuse them. Choose another name"
            )
        return self
