"""The request that edits a machine."""

from dataclasses import dataclass

from maas_configure.changes.machines import MachineChange, check_changeable
from maas_configure.choices import explained_refusal
from maas_configure.updating import UpdatedMachine, UpdateMachine
from maas_mcp.api import MaasClient, Machine, ToolContext, change_once, quoted


async def update_machine(ctx: ToolContext, args: UpdateMachine) -> UpdatedMachine:
    """Change the fields, unless the machine has them."""
    machine = await ctx.maas.machine(args.system_id)
    change = _Edit(machine, args.wanted)
    if not change.is_done(machine):
        await check_changeable(ctx, machine, to="be edited", any_owner=args.any_owner)
    async with explained_refusal(ctx.maas):
        changed = await change_once(ctx, machine, change)
    return UpdatedMachine.of(changed.state, sent=changed.sent)


@dataclass(frozen=True)
class _Edit(MachineChange[Machine]):
    wanted: dict[str, str]
    op = "PUT"

    async def send(self, maas: MaasClient) -> None:
        await maas.put(f"machines/{self.before.system_id}/", **self.wanted)

    def is_done(self, state: Machine) -> bool:
        return not self._missing(state)

    def shown(self, state: Machine) -> str:
        return f"without {' and '.join(self._missing(state))}"

    def _missing(self, machine: Machine) -> list[str]:
        """The wanted values that the machine does not have."""
        # Read like MAAS's response, so that both have the same escapes.
        wanted = Machine.from_response({"system_id": machine.system_id, "status": machine.status, **self.wanted})
        return [
            f"the {name} {quoted(value)}"
            for name, value in self.wanted.items()
            if _comparable(name, getattr(wanted, name)) != _comparable(name, getattr(machine, name))
        ]


def _comparable(name: str, value: str | None) -> str:
    """A value as MAAS compares it: without blanks around it, and a hostname without regard to case."""
    stripped = (value or "").strip()
    return stripped.lower() if name == "hostname" else stripped
