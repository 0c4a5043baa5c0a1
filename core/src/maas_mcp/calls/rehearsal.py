"""The rehearsal of a call: the call really runs, but its first change of each machine is recorded and not sent."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretBytes, SecretStr

from maas_mcp.calls.plan import HIDDEN, PlannedRequest
from maas_mcp.calls.plan_ids import new_nonce
from maas_mcp.maas.change_request import ChangeRequest
from maas_mcp.redaction import is_secret_name

if TYPE_CHECKING:
    from maas_mcp.calls.call import ToolCall


@dataclass(slots=True)
class Rehearsal:
    """The changes that a call would request."""

    nonce: bytes = field(default_factory=new_nonce)
    """Makes the plan unique, and gives its batch a name."""
    changes: list[ChangeRequest] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    filled_in: "ToolCall | None" = None
    """The call with its arguments filled in, if its tool does that."""

    def record(self, change: ChangeRequest) -> None:
        """Record a change."""
        self.changes.append(change)


def planned_request(change: ChangeRequest, arguments: BaseModel) -> PlannedRequest:
    """Describe a change. Secret arguments and values with the name of a secret are hidden."""
    secrets = set(secrets_in(arguments))
    parameters: dict[str, list[str]] = {}
    for name, value in change.parameters:
        secret = is_secret_name(name) or value in secrets
        parameters.setdefault(name, []).append(HIDDEN if secret else value)
    return PlannedRequest(method=change.method, path=change.path, op=change.op, parameters=parameters)


def secrets_in(value: Any) -> Iterator[str]:
    """Yield the secrets in arguments."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case SecretBytes():
            yield value.get_secret_value().decode(errors="replace")
        case BaseModel():
            for name in type(value).model_fields:
                yield from secrets_in(getattr(value, name))
        case dict():
            for each in value.values():
                yield from secrets_in(each)
        case list() | tuple() | set() | frozenset():
            for each in value:
                yield from secrets_in(each)
