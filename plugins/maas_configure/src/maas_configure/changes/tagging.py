"""The requests that create a tag, and that add it to machines and remove it from others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from maas_configure.machines import label
from maas_configure.tagging import MAX_NAMED, TaggedMachines, TagMachines
from maas_mcp.api import (
    MaasClient,
    MaasModel,
    MaasNotFoundError,
    Machine,
    MachineText,
    OperationRefusedError,
    SingleChange,
    SystemId,
    ToolContext,
    change_once,
    planned_step,
    quoted,
)

READ_AT_ONCE: Final = 100
"""Machines of one read, so that it lasts a few seconds."""


async def tag_machines(ctx: ToolContext, args: TagMachines) -> TaggedMachines:
    """Tag and untag the machines that are not yet as requested."""
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
