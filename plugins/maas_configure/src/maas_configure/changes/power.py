"""The request that sets a machine's power type and power parameters."""

from dataclasses import dataclass, field

from maas_configure.changes.machines import MachineChange, check_changeable
from maas_configure.choices import explained_refusal
from maas_configure.power import PoweredMachine, SetPower
from maas_mcp.api import MaasClient, Machine, ToolContext, change_once


async def set_power_parameters(ctx: ToolContext, args: SetPower) -> PoweredMachine:
    """Set the power type and the parameters."""
    machine = await ctx.maas.machine(args.system_id)
    change = _Power(machine, args)
    if not change.is_done(machine):
        await check_changeable(ctx, machine, to="get other power parameters", any_owner=args.any_owner)
    async with explained_refusal(ctx.maas, args.power_type):
        changed = await change_once(ctx, machine, change)
    return PoweredMachine.of(changed.state, sent=changed.sent)


@dataclass(frozen=True)
class _Power(MachineChange[Machine]):
    args: SetPower = field(repr=False)
    op = "PUT"

    async def send(self, maas: MaasClient) -> None:
        await maas.put(f"machines/{self.before.system_id}/", **self.args.power_form())

    def is_done(self, state: Machine) -> bool:
        return not self.args.power_parameters and self.is_shown(state)

    def is_shown(self, state: Machine) -> bool:
        return state.power_type == self.args.power_type

    def is_proven(self, state: Machine) -> bool:
        return self.is_shown(state) and not self.is_shown(self.before)

    def shown(self, state: Machine) -> str:
        return f"of the power type {state.power_type or 'none'}"

    def hint_if_lost(self, state: Machine) -> str:
        if not self.is_shown(state):
            return super().hint_if_lost(state)
        return "MAAS does not show power parameters, so it is unknown whether it has the new ones. Send them again."
