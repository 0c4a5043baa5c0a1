"""Tag and untag machines."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from maas_configure.machines import SENT
from maas_mcp.api import SystemId, Tool, ToolContext

MAX_MACHINES: Final = 300
"""Machines of one call. MAAS needs about 40 ms to read each, and their ids have to fit into a URL."""
MAX_NAMED: Final = 5
"""Machines that one message names."""


def _check_tag(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("expected up to 256 letters, digits, `_`, `.` and `-`")
    return name


_NAME: Final = re.compile(r"[\w.-]{1,256}")
"""The names of tags that MAAS accepts."""
MachineIds = Annotated[list[SystemId], Field(max_length=MAX_MACHINES)]


class TagMachines(BaseModel, defer_build=True):
    """A tag, and the machines that get or lose it."""

    tag: Annotated[str, AfterValidator(_check_tag)]
    add: MachineIds = Field(default_factory=list, description="Machines that get the tag.")
    remove: MachineIds = Field(default_factory=list)
    create: bool = Field(default=False, description="Create the tag if it is missing.")

    @property
    def system_ids(self) -> list[SystemId]:
        """All machines of the call, each once."""
        return list(dict.fromkeys([*self.add, *self.remove]))

    @model_validator(mode="after")
    def _names_machines_once(self) -> Self:
        if not self.system_ids:
            raise ValueError("pass at least one machine in add or remove")
        if both := sorted(set(self.add).intersection(self.remove)):
            raise ValueError(f"{', '.join(both[:MAX_NAMED])} cannot both get and lose the tag")
        return self


class TaggedMachines(BaseModel, defer_build=True):
    """The result for all machines of the call."""

    tag: str
    added: int = Field(description="Machines that have got the tag.")
    removed: int = Field(description="Machines that have lost it.")
    unchanged: int = Field(description="Machines that were already as requested.")
    created: bool = Field(description="Whether the tag was created.")
    sent: bool = Field(description=SENT)


class Tag(Tool[TagMachines, TaggedMachines]):
    """Tag (label, mark) or untag machines: add a tag to some and remove it from others. Up to 300 machines a call.

    Also possible on locked machines and on those of other users. Administrators only.
    """

    name = "maas_tag_machines"
    admin_only = True
    toolset = "machines"
    list_position = 55
    title = "Tag machines"
    idempotent = True

    async def run(self, ctx: ToolContext, args: TagMachines) -> TaggedMachines:
        """Post ``op=update_nodes`` once for all machines, after the tag was created if it is missing."""
        from maas_configure.changes.tagging import tag_machines  # noqa: PLC0415 - only a call needs it

        return await tag_machines(ctx, args)

    def summary(self, result: TaggedMachines) -> str:
        """The numbers of machines in one line."""
        if not result.sent:
            return f"All {result.unchanged} machines were already as requested; nothing was sent to MAAS."
        created = " (created)" if result.created else ""
        return (
            f"Tag {result.tag}{created}: added to {result.added} and removed from {result.removed} machines; "
            f"{result.unchanged} were already as requested."
        )
