"""Every error that maas-mcp raises on purpose.

    MaasMcpError
    ├── SettingsError              the configuration cannot be used
    ├── PluginError                a plugin cannot be used
    │   └── ResultUnreadableError  MAAS has finished an operation, but its plugin could not read the result
    ├── ServerError                the MCP server that was started here does not do what a server does
    ├── InsufficientScopeError     the caller's token does not grant what a tool needs
    ├── InvalidArgumentsError      the arguments of a tool call do not fit its schema
    ├── ResultTooLargeError        the result of a tool call is too large to be sent
    ├── MaasError                  the region did not do what it was asked
    │   ├── MaasAuthError          401: the API key is not accepted
    │   ├── MaasPermissionError    403: not allowed, or the machine is locked
    │   ├── MaasNotFoundError      404 in MAAS's words: no such machine or result
    │   ├── MaasConflictError      409 in plain text: the machine's state forbids it
    │   ├── MaasBadRequestError    400: MAAS refused the parameters
    │   ├── MaasUnavailableError   429, 502, 503, 504, HTML 409, or no answer at all
    │   │   └── MaasTlsError       the region's certificate is not trusted, or it does not speak TLS there
    │   └── MaasProtocolError      an answer that is not MAAS's
    └── OperationError             a long-running operation did not succeed
        ├── OperationRefusedError  it was never started: the machine is not in a state for it
        ├── UnknownOperationError  no operation of the caller's has this id
        ├── OperationFailedError   MAAS says that it failed
        ├── OperationRevertedError someone aborted, released or took over the machine
        ├── MachineGoneError       the machine was deleted
        ├── OperationTimedOutError the deadline passed; MAAS may still be at work
        └── OperationCancelledError it was told to stop; MAAS may still be at work

Each carries what a person, a model and a program need to fix it: ``code``, ``message``, ``hint``, ``next_steps``,
``retryable`` and MAAS's own words. None of them ever carries a credential: the body of a 401 may print the token's
secret, so it is dropped where it is read.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import ClassVar, Final

_PAGES_OF_FILTERS: Final = frozenset({403, 404})
"""A firewall or a proxy may put such a page in the place of MAAS's answer, after MAAS has acted."""
_LEAVES_OPEN: Final = frozenset({408, 409, 499})
"""MAAS answers a 409 when a change has failed half-way (MAAS 3.7, release with erase); with a 408 or a 499 a proxy gave
up, and MAAS may go on."""

_SHORT: Final = 200
"""Characters of a step's arguments that people are shown; longer ones only programs get."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """A call that helps after an error. People are shown it as a sentence, programs get it as data.

    A step whose tool is not served is left out.

    Raises:
        TypeError: An argument is not of a type that JSON has.
    """

    tool: str
    """A tool's name. Or MAAS's name of what a tool ``offers``, such as ``machine unlock``: clients get the tool's."""
    arguments: Mapping[str, object] = field(default_factory=dict, hash=False)
    """What to call it with, as JSON; a required argument that is missing is for the caller to choose."""
    why: str = field(kw_only=True)
    """What the call is for: a sentence without its full stop, such as ``Read the machine to see how far it is``."""

    def __post_init__(self) -> None:
        try:
            json.dumps(dict(self.arguments), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TypeError(f"NextStep.arguments: expected values that JSON has, but: {error}.") from error

    @property
    def sentence(self) -> str:
        """The step for people."""
        given = ", ".join(
            f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
            for name, value in self.arguments.items()
        )
        return f"{self.why}: {self.tool} ({given})." if 0 < len(given) <= _SHORT else f"{self.why}: {self.tool}."


class MaasMcpError(Exception):
    """The root: an error with a message to show as it is.

    Args:
        message: What was wrong and what was expected, in one or two sentences.
        hint: What to do next, or ``None``. It names no tool, since that may not be served.
        maas_says: MAAS's own words, whole, or ``None``.
        next_steps: Calls that help, the best one first.
    """

    code: ClassVar[str] = "error"
    """A stable name for programs."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later without anything being changed."""

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
    """A plugin, or something that it returned, cannot be used."""

    code = "bad_plugin"


class ResultUnreadableError(PluginError):
    """MAAS has finished an operation, but its plugin could not read the result. Asking again may return it."""

    code = "result_unreadable"


class ServerError(MaasMcpError):
    """The MCP server that a command started does not do what a server does: it ended, or broke the protocol."""

    code = "server"


class InsufficientScopeError(MaasMcpError):
    """The caller's token does not grant the scope that a tool needs. Nothing was sent to MAAS.

    Args:
        tool: The name of the tool.
        scope: The scope that it needs.
    """

    code = "insufficient_scope"

    def __init__(self, tool: str, scope: str) -> None:
        super().__init__(
            f"{tool} needs the scope {scope}, which your token does not grant.",
            hint="Ask the operator of this server for a token with that scope.",
        )
        self.scope = scope


class InvalidArgumentsError(MaasMcpError):
    """The arguments of a tool call do not fit its schema."""

    code = "invalid_arguments"


class ResultTooLargeError(MaasMcpError):
    """The result of a tool call is too large to be sent. The call itself was carried out.

    Args:
        tool: The tool's name.
        size: Bytes of the result.
        limit: The most bytes that are sent.
    """

    code = "result_too_large"

    def __init__(self, tool: str, size: int, limit: int) -> None:
        super().__init__(
            f"{tool} was carried out, but its result of {size / 1e6:,.1f} MB was not sent: the limit is "
            f"{limit / 1e6:,.0f} MB.",
            hint="Request less at once, with a filter or a limit if the tool takes one. Do not repeat a call that "
            "changed something.",
        )


class MaasError(MaasMcpError):
    """The region did not do what it was asked."""

    code = "maas_error"
    may_pass: ClassVar[bool] = True
    """Whether waiting may mend it, for who is following something: a 500, a proxy's page, no answer at all. A key that
    is not accepted, or a certificate that is not trusted, stays so."""
    status: int | None = None
    """The HTTP status of the answer; ``None`` if there was none."""
    acted: bool = False
    """Whether MAAS has carried out the request, or a part of it, although it answered with an error."""

    @property
    def may_have_acted(self) -> bool:
        """Whether MAAS may have carried out the request all the same: check before it is sent again.

        A refusal says that it has not, and so does a 4xx of a proxy, which never passed the request on. A fault on the
        way (500), a proxy's page and a lost answer leave it open.
        """
        return self.acted or (self.may_pass and not self.turned_away)

    @property
    def turned_away(self) -> bool:
        """Whether a redirect or a 4xx answered the request, so that it came to nothing.

        Three 4xx do not count, because MAAS may act all the same: :data:`_LEAVES_OPEN`.
        """
        refused = self.status is not None and 300 <= self.status < 500  # noqa: PLR2004 - every 3xx and 4xx
        return refused and self.status not in _LEAVES_OPEN

    @property
    def answered(self) -> bool:
        """Whether MAAS itself has answered that it failed, so that it no longer works on the request.

        MAAS answers a 500 with the words of what failed; a proxy's has a page, or no more than *Internal Server Error*.
        A 502, 503 or 504 may be either's.
        """
        fault = HTTPStatus.INTERNAL_SERVER_ERROR
        return self.status == fault and self.maas_says not in (None, fault.phrase)


class MaasAuthError(MaasError):
    """401: the API key is not accepted."""

    code = "unauthorized"
    may_pass = False


class MaasPermissionError(MaasError):
    """403: the user may not do this, or the machine is locked."""

    code = "permission_denied"
    may_pass = False
    op: str | None = None
    """What was refused: MAAS's name of the operation, or the method of a request without one."""


class MaasNotFoundError(MaasError):
    """404 in MAAS's own words: no such machine or result. Any other 404 is a :class:`MaasProtocolError`."""

    code = "not_found"
    may_pass = False


class MaasConflictError(MaasError):
    """409 in plain text: the state of the machine forbids it. MAAS will not change its mind by itself."""

    code = "state_conflict"
    may_pass = False


class MaasBadRequestError(MaasError):
    """400: MAAS refused the parameters.

    Args:
        message: See :class:`MaasMcpError`.
        fields: MAAS's messages by field name; ``__all__`` holds those that belong to no single field.
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
    """429, 502, 503, 504, an HTML 409 or no answer at all: nothing is known to be wrong with the request.

    Args:
        message: See :class:`MaasMcpError`.
        retry_after: Seconds that MAAS asked to wait, 60 at the most, or ``None``.
        sent: Whether the request may have reached MAAS. A POST that was sent may have taken effect: look before
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
        """Whether the request may have reached MAAS, and was not turned away on its way (429)."""
        return self.sent and not self.turned_away


class MaasTlsError(MaasUnavailableError):
    """No secure connection: the region's certificate is not trusted, or it does not speak TLS there. Never sent."""

    code = "tls"
    retryable = False
    may_pass = False


class MaasProtocolError(MaasError):
    """An answer that is not MAAS's: a wrong URL, a login page, a proxy, or JSON of another shape."""

    code = "protocol"

    @property
    def turned_away(self) -> bool:
        """As of any error; but a page that is not MAAS's may stand in the place of an answer that was."""
        return super().turned_away and self.status not in _PAGES_OF_FILTERS

    @property
    def answered(self) -> bool:
        """Whether MAAS no longer works on the request: it has answered, or never had it."""
        return super().answered or self.status in _PAGES_OF_FILTERS


class OperationError(MaasMcpError):
    """A long-running operation did not succeed."""

    code = "operation_error"


class OperationRefusedError(OperationError):
    """The operation was never started: the machine is not in a state for it."""

    code = "operation_refused"


class UnknownOperationError(OperationError):
    """No operation of the caller's has this id. Whether it is forged, damaged, another's or too old is not told."""

    code = "unknown_operation"

    def __init__(self) -> None:
        super().__init__(
            "There is no operation with this id.",
            hint="Pass the id whole, as the starting call or the list of operations gave it. Ids expire after 7 days."
            " Only servers that share MAAS_MCP_SECRET accept each other's ids.",
            next_steps=[NextStep("maas_list_operations", why="List what is under way, with its ids")],
        )


class OperationFailedError(OperationError):
    """MAAS says that the operation failed; the message carries the reason."""

    code = "operation_failed"


class OperationRevertedError(OperationError):
    """The operation was ended from outside: aborted, released, or taken over by another run."""

    code = "operation_reverted"


class MachineGoneError(OperationError):
    """The machine was deleted while it was followed."""

    code = "machine_gone"


class OperationTimedOutError(OperationError):
    """The deadline passed. MAAS may still be at work on the machine."""

    code = "deadline_exceeded"


class OperationCancelledError(OperationError):
    """The operation was told to stop. It no longer follows the machine; MAAS goes on."""

    code = "operation_cancelled"

    def __init__(self, message: str = "Stopped following; MAAS goes on with what it was doing.") -> None:
        super().__init__(message)
