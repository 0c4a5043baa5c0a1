"""Running MAAS's scripts on a machine: what commissioning and testing have in common."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, Field

from maas_commission.machines import WHICH
from maas_mcp.api import FormValue, SystemId

NOT_OF_SCRIPTS: Final = frozenset(
    {
        *("op", "comment", "enable_ssh", "skip_bmc_config", "skip_networking", "skip_storage"),
        *("commissioning_scripts", "testing_scripts"),
    }
)
"""Fields of MAAS's forms that are no script's: given as a script's parameter they would take the place of our own."""


def _of_scripts(parameters: dict[str, str]) -> dict[str, str]:
    taken = sorted(NOT_OF_SCRIPTS & parameters.keys())
    if taken:
        raise ValueError(f"{', '.join(taken)} is no script's parameter")
    return parameters


class RunScripts(BaseModel):
    """What MAAS's ``commission`` and ``test`` both take."""

    system_id: SystemId = Field(description=WHICH)
    testing_scripts: list[str] | None = Field(
        default=None, description="Tests to run, by name or tag. smartctl-validate on every disk if left out."
    )
    parameters: Annotated[dict[str, str], AfterValidator(_of_scripts)] | None = Field(
        default=None,
        description="Script parameters: NAME applies to all scripts, SCRIPT_NAME to one, as `smartctl-short_storage`.",
    )
    enable_ssh: bool = Field(default=False, description="Keep SSH open and the machine on afterwards.")

    def form(self) -> dict[str, FormValue]:
        """The form to post. What is not asked for is left out: to MAAS every value of the booleans is true."""
        asked = self.model_dump(exclude={"system_id", "parameters", "take_over"}, exclude_defaults=True)
        given = {name: value for name, value in asked.items() if value != []}
        listed = {name: ",".join(value) if isinstance(value, list) else value for name, value in given.items()}
        return {**listed, **(self.parameters or {})}
