"""Set a machine's power type and power parameters, which are never read back."""

from typing import Final

from pydantic import BaseModel, Field, SecretStr

from maas_configure.machines import ANY_OWNER, MachineArguments, MachineState, Name
from maas_mcp.api import Tool, ToolContext

PREFIX: Final = "power_parameters_"
"""MAAS's prefix of a power parameter in a form. Values of such fields are secret everywhere."""


class PowerSettings(BaseModel, defer_build=True):
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
        from maas_configure.changes.power import set_power_parameters  # noqa: PLC0415 - only a call needs it

        return await set_power_parameters(ctx, args)

    def summary(self, result: PoweredMachine) -> str:
        """The power type in one line."""
        return result.line(f"has the power type {result.power_type}")
