"""Tag and untag machines."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from maas_configure.machines import SENT, label
from maas_mcp.api import (
    MaasClient,
    MaasModel,
    MaasNotFoundError,
    Machine,
    MachineText,
    OperationRefusedError,
    SingleChange,
    SystemId,
    Tool,
    ToolContext,
    change_once,
    planned_step,
    quoted,
)

MAX_MACHINES: Final = 300
"""Machines of one call. MAAS needs about 40 ms to read each, and their ids have to fit into a URL."""
READ_AT_ONCE: Final = 100
"""Machines of one read, so that it lasts a few seconds."""
MAX_NAMED: Final = 5
"""Machines that one message names."""


def _check_tag(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("expected up to 256 letters, digits, `_`, `.` and `-`")
    return name


_NAME: Final = re.compile(r"[\w.-]{1,256}")
"""The names of tags that MAAS accepts."""
MachineIds = Annotated[list[SystemId], Field(max_length=MAX_MACHINES)]


class TagMachines(BaseModel):
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
        change, creation = _UpdateNodes(args), _CreateTag(args.tag)
        machines = await change.read(ctx.maas)
        _check_known(args.system_ids, machines)
        tag = await creation.read(ctx.maas)
        _check_usable(args, tag)
        if tag is None:
            with planned_step():
                await change_once(ctx, tag, creation)
        changed = await change_once(ctx, machines, change)
        added, removed = len(change.without_tag(machines)), len(change.with_tag(machines))
        return TaggedMachines(
            tag=args.tag,
            added=added,
            removed=removed,
            unchanged=len(machines) - added - removed,
            created=tag is None,
            sent=changed.sent,
        )

    def summary(self, result: TaggedMachines) -> str:
        """The numbers of machines in one line."""
        if not result.sent:
            return f"All {result.unchanged} machines were already as requested; nothing was sent to MAAS."
        created = " (created)" if result.created else ""
        return (
            f"Tag {result.tag}{created}: added to {result.added} and removed from {result.removed} machines; "
            f"{result.unchanged} were already as requested."
        )


class _MaasTag(MaasModel):
    """A tag from ``GET tags/{name}/``."""

    name: MachineText
    definition: str = ""
    """The XPath expression by which MAAS assigns the tag; empty for a tag that is assigned by hand."""


@dataclass(frozen=True)
class _CreateTag(SingleChange[_MaasTag | None]):
    """``POST tags/``. MAAS refuses a second tag of the same name."""

    name: str
    op = "POST tags/"

    async def read(self, maas: MaasClient) -> _MaasTag | None:
        try:
            return _MaasTag.from_response(await maas.get(f"tags/{self.name}/"))
        except MaasNotFoundError:
            return None

    async def send(self, maas: MaasClient) -> None:
        await maas.post("tags/", name=self.name)

    def is_done(self, state: _MaasTag | None) -> bool:
        return state is not None

    def target(self) -> str:
        return f"the tag {self.name}"

    def shown(self, state: _MaasTag | None) -> str:
        return "unknown to MAAS" if state is None else "known to MAAS"


@dataclass(frozen=True)
class _UpdateNodes(SingleChange[Sequence[Machine]]):
    """``POST tags/{name}/?op=update_nodes``. MAAS ignores unknown machines."""

    args: TagMachines
    op = "update_nodes"

    async def read(self, maas: MaasClient) -> Sequence[Machine]:
        ids, found = self.args.system_ids, list[Machine]()
        for start in range(0, len(ids), READ_AT_ONCE):
            found += await maas.machines(id=ids[start : start + READ_AT_ONCE])
        return found

    async def send(self, maas: MaasClient) -> None:
        await maas.post_op(f"tags/{self.args.tag}/", self.op, add=self.args.add, remove=self.args.remove)

    def is_done(self, state: Sequence[Machine]) -> bool:
        return not self.without_tag(state) and not self.with_tag(state)

    def target(self) -> str:
        return f"the tag {self.args.tag}"

    def shown(self, state: Sequence[Machine]) -> str:
        missing, left = _named(self.without_tag(state)), _named(self.with_tag(state))
        return (
            " and ".join(filter(None, [missing and f"missing on {missing}", left and f"on {left}"])) or "as requested"
        )

    def without_tag(self, machines: Sequence[Machine]) -> list[Machine]:
        """The machines that should get the tag and do not have it."""
        add = set(self.args.add)
        return [each for each in machines if each.system_id in add and self.args.tag not in each.tag_names]

    def with_tag(self, machines: Sequence[Machine]) -> list[Machine]:
        """The machines that should lose the tag and have it."""
        remove = set(self.args.remove)
        return [each for each in machines if each.system_id in remove and self.args.tag in each.tag_names]


def _check_known(system_ids: Iterable[SystemId], machines: Iterable[Machine]) -> None:
    """Refuse unknown machines, which MAAS would silently ignore."""
    known = {each.system_id for each in machines}
    if unknown := [each for each in system_ids if each not in known]:
        more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
        raise OperationRefusedError(
            f"MAAS shows no machine {', '.join(unknown[:MAX_NAMED])}{more}. Nothing was sent to MAAS.",
            hint="Pass system ids of machines that you may see.",
        )


def _check_usable(args: TagMachines, tag: _MaasTag | None) -> None:
    """Refuse a missing tag that may not be created, and a tag that MAAS itself assigns."""
    if tag is None and not (args.create and args.add):
        raise OperationRefusedError(
            f"MAAS has no tag {args.tag}. Nothing was sent to MAAS.",
            hint="Check the name. To create the tag and add it to machines, pass create: true.",
        )
    if tag is not None and tag.definition:
        raise OperationRefusedError(
            f"MAAS assigns the tag {args.tag} itself, by its definition {quoted(tag.definition)}. Nothing was sent to "
            "MAAS.",
            hint="Use another tag, or change its definition in MAAS.",
        )


def _named(machines: Sequence[Machine]) -> str:
    more = f" and {len(machines) - MAX_NAMED} more" if len(machines) > MAX_NAMED else ""
    return ", ".join(map(label, machines[:MAX_NAMED])) + more
