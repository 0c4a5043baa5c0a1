"""The settings of the policy and the audit: what callers may do, and the record of what they did."""

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from maas_mcp.policy.configuration import STANDARD, Policy
from maas_mcp.policy.selection import SiteSelection, check_patterns
from maas_mcp.setting_types import AuditTarget, Names, lower

Patterns = Annotated[Names, AfterValidator(check_patterns)]


def _parse(value: object) -> object:
    """Parse the JSON of an environment variable."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error}); expected a JSON object") from None


class PolicySettings(BaseModel, defer_build=True):
    """The permissions of callers, the served tools, and the audit."""

    policy: Annotated[Policy, NoDecode, BeforeValidator(_parse)] = Field(
        default=Policy.model_construct(),
        description="Rules of the policy: the table [policy] of the configuration file, or JSON in the environment.",
    )
    mode: Annotated[str, BeforeValidator(lower)] = Field(
        default=STANDARD,
        description="Mode of the policy: read-only serves no tool that changes MAAS; standard asks the user to confirm "
        "calls that can lose a machine's workload or data; unattended requires a plan for them instead. [policy.modes] "
        "can add modes.",
    )

    toolsets: Names = Field(
        default=(),
        description="Serve only the tools of these toolsets, such as inventory or power. The toolset operations is "
        "always served with long-running tools. Empty: all.",
    )
    tools_allow: Patterns = Field(
        default=(),
        description="Serve only these tools, by name, by glob (*_machine) or by annotation (@read-only, "
        "@destructive, @idempotent). Empty: all.",
    )
    tools_block: Patterns = Field(
        default=(),
        description="Never serve these tools, written as in MAAS_MCP_TOOLS_ALLOW. Takes precedence over it.",
    )
    admin_tools: Annotated[Literal["explain", "hide"], BeforeValidator(lower)] = Field(
        default="explain",
        description="Tools that MAAS allows to administrators only, if the caller's MAAS user is not one: explain "
        "serves them, and a call fails with MAAS's reason; hide leaves them out.",
    )
    audit: AuditTarget = Field(
        default=None,
        description="Path of the audit file, which records each call that changes something; or off. A change that "
        "cannot be recorded is refused. By default audit.jsonl in the state directory.",
    )
    audit_fsync: bool = Field(
        default=False,
        description="Write each line of the audit to disk before the call continues, so that a power failure loses no "
        "line.",
    )

    @field_validator("mode")
    @classmethod
    def _check_mode(cls, mode: str, info: ValidationInfo) -> str:
        policy = info.data.get("policy", Policy.model_construct())
        if mode not in policy.mode_names:
            raise ValueError(f"{mode} is not a mode; expected one of: {', '.join(policy.mode_names)}")
        return mode

    @property
    def selection(self) -> SiteSelection:
        """The tools that the site serves."""
        read_only = self.policy.mode(self.mode).reads_only
        return SiteSelection(self.mode, read_only, frozenset(self.toolsets), self.tools_allow, self.tools_block)
