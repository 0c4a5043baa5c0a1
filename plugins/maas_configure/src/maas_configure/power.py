"""Set a machine's power type and power parameters, which are never read back."""

from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, Field, SecretStr

from maas_configure.choices import explained_refusal
from maas_configure.machines import (
    ANY_OWNER,
    MachineArguments,
    MachineChange,
    MachineState,
    Name,
    check_changeable,
)
from maas_mcp.api import MaasClient, Machine, Tool, ToolContext, change_once

PREFIX: Final = "power_parameters_"
"""MAAS's prefix of a power parameter in a form. Values of such fields are secret everywhere."""


class PowerSettings(BaseModel):
    """How MAAS controls a machine's power. The parameters are secret: they are only ever sent to MAAS."""

    power_type: Name = Field(description="`ipmi`, `redfish`, `manual` …")
    power_parameters: dict[str, SecretStr] = Field(
        default_factory=dict, description="All that the type has: `power_address`, `power_user`, `power_pass` …"
    )

    def power_form(self) -> dict[str, str]:
        """The form fields with the type and the parameters."""
        parameters = {
            f"{PREFIX}{name.removeprefix(PREFIX)}": value.get_secret_value()
            for name, value in self.power_parameters.items()
        }
        return {"power_type": self.power_type, **parameters}


class SetPower(MachineArguments, PowerSettings):
    """A machine and its power settings."""

    any_owner: bool = Field(default=False, description=ANY_OWNER)


class PoweredMachine(MachineState):
    """A machine after its power settings were sent. MAAS does not show the parameters."""

    power_type: str | None


class SetPowerParameters(Tool[SetPower, PoweredMachine]):
    """Set (change, configure) a machine's power type and BMC credentials: IPMI or Redfish address, user and password.

    Replaces all parameters, which nobody can read back here. Query the power state afterwards. Administrators only.
    """

    name = "maas_set_power_parameters"
    admin_only = True
    toolset = "machines"
    title = "Set a machine's power parameters"
    idempotent = True

    async def run(self, ctx: ToolContext, args: SetPower) -> PoweredMachine:
        """Put the type and the parameters; only the type is ever read."""
        machine = await ctx.maas.machine(args.system_id)
        change = _Power(machine, args)
        if not change.is_done(machine):
            await check_changeable(ctx, machine, to="get other power parameters", any_owner=args.any_owner)
        async with explained_refusal(ctx.maas, args.power_type):
            changed = await change_once(ctx, machine, change)
        return PoweredMachine.of(changed.state, sent=changed.sent)

    def summary(self, result: PoweredMachine) -> str:
        """The power type in one line."""
        return result.line(f"has the power type {result.power_type}")


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
