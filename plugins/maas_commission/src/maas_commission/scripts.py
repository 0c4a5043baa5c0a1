"""Arguments for MAAS's scripts, which commissioning and testing share."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, Field

from maas_mcp.api import FormValue, SystemId

FORM_FIELDS: Final = frozenset(
    {
        *("op", "comment", "enable_ssh", "skip_bmc_config", "skip_networking", "skip_storage"),
        *("commissioning_scripts", "testing_scripts"),
    }
)
"""Form fields that are not script parameters. A script parameter with such a name would replace the form field."""


HARMLESS_TESTS: Final = frozenset(
    {
        *("smartctl-validate", "smartctl-short", "smartctl-long", "smartctl-conveyance", "badblocks"),
        *("memtester", "stress-ng-cpu-short", "stress-ng-cpu-long", "stress-ng-memory-short", "stress-ng-memory-long"),
        *("ntp", "7z", "internet-connectivity", "gateway-connectivity", "rack-controller-connectivity"),
        *("commissioning", "none"),
    }
)
"""MAAS's own tests that write nothing to disks, the tag of its default tests, and the word for no tests.

``fio`` and ``badblocks-destructive`` overwrite the disks. A tag may select them, and a custom test may do the same.
"""


def _check_parameters(parameters: dict[str, str]) -> dict[str, str]:
    taken = sorted(FORM_FIELDS & parameters.keys())
    if taken:
        raise ValueError(f"{', '.join(taken)}: expected parameters of scripts, not of the request itself")
    return parameters


class RunScripts(BaseModel, defer_build=True):
    """The parameters that MAAS's ``commission`` and ``test`` share."""

    system_id: SystemId
    testing_scripts: list[str] | None = Field(
        default=None, description="By name or tag. Default: smartctl-validate on every disk."
    )
    parameters: Annotated[dict[str, str], AfterValidator(_check_parameters)] | None = Field(
        default=None,
        description="Of scripts: NAME for all, SCRIPT_NAME for one.",
    )
    enable_ssh: bool = Field(default=False, description="Keep it on, with SSH.")

    @property
    def may_erase(self) -> bool:
        """Whether a requested test may overwrite the disks."""
        return not HARMLESS_TESTS.issuperset(self.testing_scripts or ())

    def form(self) -> dict[str, FormValue]:
        """The form to post, without unset fields: MAAS reads every value of a boolean as true."""
        asked = self.model_dump(exclude={"system_id", "parameters", "take_over"}, exclude_defaults=True)
        given = {name: value for name, value in asked.items() if value != []}
        joined = {name: ",".join(value) if isinstance(value, list) else value for name, value in given.items()}
        return {**joined, **(self.parameters or {})}
