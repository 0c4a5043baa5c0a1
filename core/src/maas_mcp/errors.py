"""The errors that maas-mcp raises on purpose.

    MaasMcpError
    ├── SettingsError              the configuration cannot be used
    ├── PluginError                a plugin cannot be used
    │   └── ResultUnreadableError  MAAS has finished an operation, but its plugin could not read the result
    ├── ServerError                an MCP server did not start, exited, or broke the protocol
    ├── AuditUnavailableError      the audit cannot be written, so nothing may be changed
    ├── InsufficientScopeError     the caller's token lacks the scope that a tool needs
    ├── RefusedByPolicyError       the site's policy refuses the call
    ├── PlanNeededError            the site's policy requires a plan, or a confirmation that the client cannot ask for
    ├── PlanRefusedError           a plan cannot be applied: something has changed since, or it is not the caller's
    ├── InvalidArgumentsError      the arguments of a tool call do not match its schema
    ├── CannotAskError             the client cannot ask the user
    ├── NotAnsweredError           the user declined, or did not answer in time
    ├── ResultTooLargeError        the result of a tool call is too large to send
    ├── ResourceNotFoundError      there is no resource with this URI
    ├── MaasError                  a request to the region failed
    │   ├── MaasAuthError          401: MAAS rejected the API key
    │   ├── MaasPermissionError    403: not allowed, or the machine is locked
    │   ├── MaasNotFoundError      404 from MAAS itself: no such machine or result
    │   ├── MaasConflictError      409 in plain text: not possible in the machine's state
    │   ├── MaasBadRequestError    400: MAAS rejected the parameters
    │   ├── MaasUnavailableError   429, 502, 503, 504, an HTML 409, or no response
    │   │   └── MaasTlsError       the region's certificate is not trusted, or the port does not speak TLS
    │   └── MaasProtocolError      the response is not from MAAS
    └── OperationError             a long-running operation did not succeed
        ├── OperationRefusedError  it was never started: the machine's state does not allow it
        ├── UnknownOperationError  the caller has no operation with this id
        ├── OperationFailedError   MAAS reports that it failed
        ├── OperationRevertedError a user aborted or replaced it, or MAAS reverted it
        ├── MachineGoneError       the machine was deleted
        ├── OperationTimedOutError the deadline passed; MAAS may continue
        └── OperationCancelledError following was cancelled; MAAS may continue

Each error has ``code``, ``message``, ``hint``, ``next_steps``, ``retryable`` and MAAS's own words. No error contains a
credential: MAAS may print the token's secret in the body of a 401, so that body is never read.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar, Final

from maas_mcp.next_step import NextStep

_FILTER_STATUSES: Final = frozenset({403, 404})
"""A firewall or proxy may replace MAAS's response with one of these after MAAS has acted."""
_AMBIGUOUS_STATUSES: Final = frozenset({408, 409, 499})
"""MAAS returns a 409 when a change failed half-way (MAAS 3.7, release with erase). A 408 or 499 means that a proxy gave
up while MAAS may continue."""


class MaasMcpError(Exception):
    """The base class: an error whose message is shown to users unchanged.

    Args:
        message: What was wrong and what was expected, in one or two sentences.
        hint: What to do next, or ``None``. It names no tool, because the server may not serve that tool.
        maas_says: MAAS's own words, complete, or ``None``.
        next_steps: Calls that help, best first.
    """

    code: ClassVar[str] = "error"
    """A stable name for programs."""
    retryable: ClassVar[bool] = False
    """Whether repeating the same call later may succeed."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        maas_says: str | None = None,
        next_steps: Iterable[NextStep] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.maas_says = maas_says
        self.next_steps = tuple(next_steps)


class SettingsError(MaasMcpError):
    """The configuration cannot be used."""

    code = "bad_settings"


class PluginError(MaasMcpError):
    """A plugin, or an object that it returned, cannot be used."""

    code = "bad_plugin"


class ResultUnreadableError(PluginError):
    """MAAS has finished an operation, but its plugin could not read the result. Retrieving it again may succeed."""

    code = "result_unreadable"


class ServerError(MaasMcpError):
    """An MCP server did not start, exited, or broke the protocol."""

    code = "server"


class AuditUnavailableError(MaasMcpError):
    """The audit cannot be written, so nothing may be changed. Nothing was sent to MAAS."""

    code = "audit_unavailable"
    retryable = True


class InsufficientScopeError(MaasMcpError):
    """The caller's token lacks the scope that a tool needs. Nothing was sent to MAAS.

    Args:
        tool: The name of the tool.
        scope: The scope that it needs.
    """

    code = "insufficient_scope"

    def __init__(self, tool: str, scope: str) -> None:
        super().__init__(
            f"{tool} requires the scope {scope}, which the caller's token lacks.",
            hint="Ask the operator of this server for a token with that scope.",
        )
        self.scope = scope


class RefusedByPolicyError(MaasMcpError):
    """The site's policy refuses a call. Nothing was sent to MAAS.

    Args:
        rule: The rule that decides, by its place in the configuration: ``protect.tags``.
        message: The reason.
        hint: What to do next.
    """

    code = "refused_by_policy"

    def __init__(self, rule: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule


class PlanNeededError(MaasMcpError):
    """The site's policy requires a plan for the call, and the call has none. Nothing was sent to MAAS."""

    code = "plan_needed"


class PlanRefusedError(MaasMcpError):
    """A plan cannot be applied. Nothing was sent to MAAS.

    A forged id, a damaged id and the id of another user's plan all get the same message.

    Args:
        message: The reason, such as a change since the plan; by default, that there is no such plan.
        hint: What to do next.
    """

    code = "plan_refused"

    def __init__(
        self,
        message: str = "There is no plan with this id.",
        *,
        hint: str = "Make a new plan: call the tool with plan=true.",
    ) -> None:
        super().__init__(f"{message} Nothing was sent to MAAS.", hint=hint)


class CannotAskError(MaasMcpError):
    """A tool has a question, but the client cannot ask the user.

    Args:
        capabilities: The client capabilities of MCP that the question needs.
    """

    code = "cannot_ask"

    def __init__(self, capabilities: Sequence[str] = ("elicitation",)) -> None:
        super().__init__(
            "This call needs an answer from the user, but the client cannot ask for it.",
            hint=f"Use a client with the capability {' and '.join(capabilities)}.",
        )
        self.capabilities = tuple(capabilities)


class NotAnsweredError(MaasMcpError):
    """The user declined, or did not answer in time. Nothing was sent to MAAS."""

    code = "not_answered"


class ResourceNotFoundError(MaasMcpError):
    """There is no resource with this URI, or the caller may not see it."""

    code = "resource_not_found"


class InvalidArgumentsError(MaasMcpError):
    """The arguments of a tool call do not match its schema."""

    code = "invalid_arguments"


class ResultTooLargeError(MaasMcpError):
    """The result of a tool call is too large to send. The call itself was completed.

    Args:
        tool: The tool's name.
        size: Size of the result in bytes.
        limit: Largest size to send, in bytes.
    """

    code = "result_too_large"

    def __init__(self, tool: str, size: int, limit: int) -> None:
        super().__init__(
            f"{tool} was completed, but its result of {size / 1e6:,.1f} MB was not sent: the limit is "
            f"{limit / 1e6:,.0f} MB.",
            hint="Request less at once, with a filter or a limit if the tool has one. Do not repeat a call that "
            "changed something.",
        )


class MaasError(MaasMcpError):
    """A request to the region failed."""

    code = "maas_error"
    may_pass: ClassVar[bool] = True
    """Whether the error may be temporary, so that following continues: a 500, a proxy's page, no response. A rejected
    API key and an untrusted certificate are permanent."""
    status: int | None = None
    """The HTTP status of the response, or ``None`` without a response."""
    acted: bool = False
    """Whether MAAS has carried out at least part of the request although it returned an error."""

    @property
    def may_have_acted(self) -> bool:
        """Whether MAAS may have acted on the request despite the error: check before sending it again.

        MAAS has not acted if it refused, or if a proxy returned a 4xx without forwarding the request. After a 500, a
        proxy's page or a lost response this is uncertain.
        """
        return self.acted or (self.may_pass and not self.turned_away)

    @property
    def turned_away(self) -> bool:
        """Whether the response was a redirect or a 4xx, which shows that MAAS did nothing.

        Three 4xx are exceptions, because MAAS may have acted: :data:`_AMBIGUOUS_STATUSES`.
        """
        refused = self.status is not None and 300 <= self.status < 500  # noqa: PLR2004 - every 3xx and 4xx
        return refused and self.status not in _AMBIGUOUS_STATUSES

    @property
    def answered(self) -> bool:
        """Whether MAAS itself reported the failure, so that it no longer works on the request.

        MAAS's own 500 has an error message. A proxy's 500 has a page, or only *Internal Server Error*. A 502, 503 or
        504 may come from either.
        """
        fault = HTTPStatus.INTERNAL_SERVER_ERROR
        return self.status == fault and self.maas_says not in (None, fault.phrase)


class MaasAuthError(MaasError):
    """401: MAAS rejected the API key."""

    code = "unauthorized"
    may_pass = False


class MaasPermissionError(MaasError):
    """403: the user lacks the permission, or the machine is locked."""

    code = "permission_denied"
    may_pass = False
    op: str | None = None
    """The refused operation by MAAS's name, or the HTTP method if the request has no operation."""


class MaasNotFoundError(MaasError):
    """404 from MAAS itself: no such machine or result. Any other 404 is a :class:`MaasProtocolError`."""

    code = "not_found"
    may_pass = False


class MaasConflictError(MaasError):
    """409 in plain text: not possible in the machine's state. Retrying does not help."""

    code = "state_conflict"
    may_pass = False


class MaasBadRequestError(MaasError):
    """400: MAAS rejected the parameters.

    Args:
        message: See :class:`MaasMcpError`.
        fields: MAAS's messages by field name; ``__all__`` holds messages about the request as a whole.
        hint: See :class:`MaasMcpError`.
        maas_says: See :class:`MaasMcpError`.
    """

    code = "bad_request"
    may_pass = False

    def __init__(
        self,
        message: str,
        *,
        fields: Mapping[str, Sequence[str]] | None = None,
        hint: str | None = None,
        maas_says: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, maas_says=maas_says)
        self.fields = dict(fields or {})


class MaasUnavailableError(MaasError):
    """429, 502, 503, 504, an HTML 409 or no response: the request itself may be correct.

    Args:
        message: See :class:`MaasMcpError`.
        retry_after: Seconds that MAAS asked to wait, at most 60, or ``None``.
        sent: Whether the request may have reached MAAS. A POST that was sent may have taken effect: check before
            sending it again.
        hint: See :class:`MaasMcpError`.
        maas_says: See :class:`MaasMcpError`.
    """

    code = "unavailable"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        sent: bool = True,
        hint: str | None = None,
        maas_says: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, maas_says=maas_says)
        self.retry_after = retry_after
        self.sent = sent

    @property
    def may_have_acted(self) -> bool:
        """Whether the request may have reached MAAS and was not rejected (429)."""
        return self.sent and not self.turned_away


class MaasTlsError(MaasUnavailableError):
    """The region's certificate is not trusted, or the port does not speak TLS. The request was not sent."""

    code = "tls"
    retryable = False
    may_pass = False


class MaasProtocolError(MaasError):
    """The response is not from MAAS: a wrong URL, a login page, a proxy's page, or unexpected JSON."""

    code = "protocol"

    @property
    def turned_away(self) -> bool:
        """As for any error, except that a proxy's 403 or 404 page may have replaced MAAS's response."""
        return super().turned_away and self.status not in _FILTER_STATUSES

    @property
    def answered(self) -> bool:
        """Whether MAAS no longer works on the request: it has responded, or never received it."""
        return super().answered or self.status in _FILTER_STATUSES


class OperationError(MaasMcpError):
    """A long-running operation did not succeed."""

    code = "operation_error"


class OperationRefusedError(OperationError):
    """The operation was never started: the machine's state does not allow it."""

    code = "operation_refused"


class UnknownOperationError(OperationError):
    """The caller has no operation with this id.

    A forged id, a damaged id, an expired id and the id of another user all get the same message.
    """

    code = "unknown_operation"

    def __init__(self) -> None:
        super().__init__(
            "There is no operation with this id.",
            hint="Pass the complete id from the call that started the operation or from the list of operations. Ids"
            " expire after 7 days. Servers accept each other's ids only if they share MAAS_MCP_SECRET.",
            next_steps=[NextStep("maas_list_operations", why="List running operations with their ids")],
        )


class OperationFailedError(OperationError):
    """MAAS reports that the operation failed; the message has the reason."""

    code = "operation_failed"


class OperationRevertedError(OperationError):
    """The operation was undone: a user aborted it, released the machine or started another run, or MAAS reverted it."""

    code = "operation_reverted"


class MachineGoneError(OperationError):
    """The machine was deleted during the operation."""

    code = "machine_gone"


class OperationTimedOutError(OperationError):
    """The deadline passed. MAAS may still be working on the machine."""

    code = "deadline_exceeded"


class OperationCancelledError(OperationError):
    """Following was cancelled. MAAS continues with the operation."""

    code = "operation_cancelled"

    def __init__(self, message: str = "Stopped following. MAAS continues with the operation.") -> None:
        super().__init__(message)
