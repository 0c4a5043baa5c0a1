"""Arguments of a tool call: the schema that clients are shown of them, and what they have given."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from maas_mcp.calls.client_values import read_properties
from maas_mcp.calls.reports import cut
from maas_mcp.errors import InvalidArgumentsError
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.plugins.portability import Schema, to_portable
from maas_mcp.plugins.registry import AnyTool
from maas_mcp.plugins.schemas import exact_schema
from maas_mcp.plugins.validation import CALL_OPTIONS

ProgressToken = str | int

MOST_PROBLEMS: Final = 10
"""How many problems with its arguments a call is told."""
NAME_LENGTH: Final = 64
PROBLEM_LENGTH: Final = 300

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ClientFeatures:
    """What the client of a call can do."""

    meta_argument: bool = False
    """Whether it may send ``_meta`` among the arguments. The model of a client that need not would make up a token
    there, and a notification with a token that the client did not give makes some clients drop the connection."""


class Meta(BaseModel):
    """``_meta`` among the arguments."""

    progressToken: ProgressToken | None = None  # noqa: N815 - MCP's name


class CallOptions(BaseModel):
    """What every long-running tool takes beside its own arguments; :data:`CALL_OPTIONS` are their names."""

    wait_seconds: float | None = Field(
        default=None,
        ge=0,
        le=86_400,
        description="Wait at most this many seconds, then return its operation_id. 0 only starts it.",
    )
    on_cancel: CancelPolicy | None = Field(
        default=None, description="If this call is cancelled: `detach` lets MAAS go on, `abort` makes MAAS abort it."
    )
    meta: Meta | None = Field(
        default=None, alias="_meta", description="For clients that cannot set the request's own _meta."
    )

    @property
    def token(self) -> ProgressToken | None:
        """The progress token, if there is one among the arguments."""
        return self.meta.progressToken if self.meta else None


def published_arguments(tool: AnyTool, client: ClientFeatures) -> Schema:
    """The input schema of the tool, as such clients are shown it."""
    schema, options = exact_schema(tool.arguments), exact_schema(CallOptions)["properties"]
    own = {name: options[name] for name in _option_names(tool, client)}
    return to_portable({**schema, "properties": {**schema["properties"], **own}})


def parse_arguments(
    tool: AnyTool, given: Mapping[str, Any] | None, client: ClientFeatures = ClientFeatures()
) -> tuple[BaseModel, CallOptions]:
    """The validated arguments, and what was said of the call itself.

    :func:`~maas_mcp.calls.client_values.read_properties` says in which forms they may be given. Beyond those they are
    what JSON says, and nothing is made into something else: ``"on"`` is no boolean, ``true`` is no number.

    Args:
        tool: The one that is called.
        given: What the client sent.
        client: What the client that sent it can do.

    Raises:
        InvalidArgumentsError: Each argument that does not fit is named, with what is allowed; never with its value.
    """
    arguments, options = dict(given or {}), _option_names(tool, client)
    known = exact_schema(tool.arguments)["properties"]
    unknown = [name for name in arguments if name not in known and name not in options]
    problems = [_unknown(name, [*known, *options]) for name in unknown[:MOST_PROBLEMS]]
    model = _validated(tool.arguments, arguments.keys() & known.keys(), arguments, problems)
    call = _validated(CallOptions, arguments.keys() & options, arguments, problems)
    if problems or model is None or call is None:
        left_out = len(problems) + len(unknown[MOST_PROBLEMS:]) - MOST_PROBLEMS
        more = f" And {left_out} more." if left_out > 0 else ""
        raise InvalidArgumentsError(
            f"{tool.name} was not called. {' '.join(problems[:MOST_PROBLEMS])}{more}",
            hint=f"Arguments: {_signature(tool, options)}.",
        )
    return model, call


def _option_names(tool: AnyTool, client: ClientFeatures) -> tuple[str, ...]:
    """What such a client may say of the call itself."""
    if not isinstance(tool, LongRunning):
        return ()
    refused = set() if client.meta_argument else {"_meta"}
    if not tool.can_abort:
        refused.add("on_cancel")
    return tuple(name for name in CALL_OPTIONS if name not in refused)


def _validated(
    model: type[ModelT], names: Iterable[str], given: Mapping[str, Any], problems: list[str]
) -> ModelT | None:
    try:
        values = read_properties({name: given[name] for name in names}, exact_schema(model))
        return model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems += [_problem(detail) for detail in details]
    except ValueError as error:
        problems.append(cut(str(error), PROBLEM_LENGTH))
    except RecursionError:
        problems.append("The arguments are nested too deeply.")
    return None


def _unknown(name: str, known: Iterable[str]) -> str:
    if name == "_meta":
        return "`_meta` is not an argument of this tool: a progress token belongs in the request's own `_meta`."
    close = get_close_matches(name[:NAME_LENGTH], known, n=1)
    shown = cut(name, NAME_LENGTH)
    return f"`{shown}` is not an argument of this tool{f'; did you mean `{close[0]}`?' if close else '.'}"


_FORMS: Final = {
    "list_type": 'expected an array, such as `["one", "two"]`, also for a single item',
    "dict_type": "expected an object",
    "model_type": "expected an object",
}
"""What to write, where pydantic's words do not show it."""


def _problem(detail: ErrorDetails) -> str:
    """One problem in words. Without its input, which may be a secret or a megabyte."""
    where = ".".join(cut(str(part), NAME_LENGTH) for part in detail["loc"]) or "the arguments"
    message = _FORMS.get(detail["type"], detail["msg"]).removeprefix("Value error, ")
    return f"`{where}`: {cut(message[:1].lower() + message[1:], PROBLEM_LENGTH)}."


def _signature(tool: AnyTool, options: Iterable[str]) -> str:
    schema = exact_schema(tool.arguments)
    required = schema.get("required", ())
    own = [f"{name} (required)" if name in required else name for name in schema["properties"]]
    return ", ".join([*own, *(name for name in options if name != "_meta")]) or "none"
