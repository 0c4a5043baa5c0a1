"""The settings of operations: how they are followed, and how their ids are signed."""

from pydantic import BaseModel, Field

from maas_mcp.setting_types import Secrets, UserPath


class OperationSettings(BaseModel, defer_build=True):
    """How operations are followed, and how their ids are signed."""

    poll_interval: float = Field(
        default=2.0, ge=0.05, le=60, description="Seconds between polls while operations are being followed."
    )
    polling: str = Field(
        default="",
        description="Name of the polling strategy for all operations, such as status, which reads no events. "
        "Empty: each operation uses its own.",
    )
    secret: Secrets = Field(
        default=(),
        description="Secret that signs operation ids, at least 16 characters. Servers with the same secret accept "
        "each other's ids. If there are several, the first signs, and each verifies. By default a secret is generated "
        "and stored in the state directory.",
    )
    state_dir: UserPath = Field(
        default=None,
        description="Directory of the generated secret, the logins and the audit file. By default the user's state "
        "directory.",
    )
    outage_limit: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="Seconds that the region may be unreachable before following an operation ends with an error.",
    )
    answer_within: float | None = Field(
        default=None,
        ge=0,
        le=86_400,
        description="Seconds within which a call that follows an operation answers with its operation_id, for clients "
        "that give up earlier than the operation ends. 0: no limit. By default 50 for calls without a progress token.",
    )
