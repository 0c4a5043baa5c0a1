"""The settings of the policy and the audit: what callers may do, and the record of what they did."""

import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from maas_mcp.policy.configuration import STANDARD, Policy
from maas_mcp.setting_types import AuditTarget, lower


def _parse(value: object) -> object:
    """Parse the JSON of an environment variable."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error}); expected an object") from None


class PolicySettings(BaseModel, defer_build=True):
    """What callers may do, and the record of what they did."""

    policy: Annotated[Policy, NoDecode, BeforeValidator(_parse)] = Field(
        default=Policy(),
        description="Rules of the policy: the table [policy] of the configuration file, or JSON in the environment.",
    )
    mode: Annotated[str, BeforeValidator(lower)] = Field(
        default=STANDARD,
        description="Mode of the policy: read-only serves no tool that changes MAAS; standard confirms calls that "
        "destroy something; unattended asks nothing and requires a plan for them. [policy.modes] can add modes.",
    )

    audit: AuditTarget = Field(
        default=None,
        description="File that records each call that changes something, or off. A change that cannot be recorded is "
        "refused. By default audit.jsonl in the state directory.",
    )
    audit_fsync: bool = Field(
        default=False,
        description="Write each line of the audit to the disk before the call continues, so that a power failure loses "
        "none.",
    )

    @field_validator("mode")
    @classmethod
    def _check_mode(cls, mode: str, info: ValidationInfo) -> str:
        policy = info.data.get("policy", Policy())
        if mode not in policy.mode_names:
            raise ValueError(f"{mode} is not a mode; expected one of: {', '.join(policy.mode_names)}")
        return mode
