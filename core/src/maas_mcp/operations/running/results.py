"""Results of plugins, checked against the declared model before a client receives them."""

import json
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Literal

from pydantic import BaseModel

from maas_mcp.errors import MaasError, OperationError, PluginError, ResultUnreadableError
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.content import Part
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.tool import Declaration, ResultT, Tool
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.status import OperationStatus

logger = logging.getLogger(__name__)


def structured(tool: Declaration[Any, Any], result: object) -> dict[str, Any]:
    """Return the result as JSON with the fields of ``tool.returns``. Fields of a subclass are left out.

    Raises:
        PluginError: The result has another class, lacks a field, or has a value that the model or JSON forbids.
    """
    expected = tool.returns
    if not isinstance(result, expected):
        raise _unusable(tool, f"it is {kind_of(result)}", f"Return `{expected.__name__}(…)`.")
    try:
        content: dict[str, Any] = expected.__pydantic_serializer__.to_python(
            result, mode="json", by_alias=True, warnings="error"
        )
    except Exception as error:  # a plugin's own serializers raise what they like
        said = " ".join(str(error).removeprefix("Pydantic serializer warnings:").split())
        raise _unusable(
            tool, f"it does not match that model. {said}", "Give each field a value of its type."
        ) from error
    for name in _missing(result):
        raise _unusable(
            tool, f"it has no `{name}`", "Create it by calling the class: `model_construct` does not validate."
        )
    try:
        json.dumps(content, allow_nan=False)
    except ValueError as error:
        names = ", ".join(f"`{name}`" for name in _infinite(content))
        raise _unusable(tool, f"{names} is NaN or infinite", "JSON has no such numbers: use `None`.") from error
    return content


def summary_of(tool: Declaration[Any, ResultT], result: ResultT) -> str:
    """Return the result in one line for people; the default line if the plugin's own fails."""
    try:
        text: object = tool.summary(result)
        if isinstance(text, str):
            return text
        logger.error("%s.summary returned %s; expected a string", type(tool).__qualname__, kind_of(text))
    except BaseException:  # not a coroutine, so this is no cancellation
        logger.exception("%s.summary failed", type(tool).__qualname__)
    return Declaration.summary(tool, result)


def content_of(tool: Tool[Any, ResultT], result: ResultT) -> Sequence[Part]:
    """Return what models and people see of a result; the summary if the plugin's own content fails."""
    try:
        parts: object = tool.content(result)
        if isinstance(parts, list | tuple) and parts and all(isinstance(each, Part) for each in parts):
            return parts
        logger.error("%s.content returned no list of content", type(tool).__qualname__)
    except BaseException:  # not a coroutine, so this is no cancellation
        logger.exception("%s.content failed", type(tool).__qualname__)
    return [summary_of(tool, result)]


class ResultReader(Generic[ResultT]):
    """Lets a plugin read the result of an operation that MAAS has finished.

    ``with reading.guarded(): reading.result = …``, then :meth:`status`. If the plugin fails, the operation has still
    ended; only its result is missing.
    """

    def __init__(self, operation: LongRunning[Any, ResultT], message: str) -> None:
        self._operation = operation
        self._message = message
        self.result: ResultT | None = None
        self._problem: ResultUnreadableError | None = None

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Run the plugin's code that sets :attr:`result`.

        Raises:
            MaasError: MAAS cannot be reached.
            OperationError: The plugin reports that the operation did not succeed, or the call was cancelled.
        """
        try:
            yield
            structured(self._operation, self.result)
        except (MaasError, OperationError):
            raise
        except BaseException as error:
            if is_cancellation(error):
                raise
            logger.exception("the result of %s could not be read", self._operation.name)
            self._problem = _unreadable(self._operation, self._message, error)

    def status(
        self, handle: Handle, *, state: Literal["succeeded", "partly_succeeded"] = "succeeded"
    ) -> OperationStatus[ResultT]:
        """Return the status of the ended operation."""
        result = None if self._problem else self.result
        return OperationStatus(handle, 1.0, self._message, result, state=state, problem=self._problem)


def _unreadable(operation: LongRunning[Any, Any], message: str, error: BaseException) -> ResultUnreadableError:
    why = error.message if isinstance(error, PluginError) else f"it raised {type(error).__name__}."
    unreadable = ResultUnreadableError(
        f"MAAS has finished {operation.name} ({message}), but the plugin could not read the result: {why}",
        hint="Do not start it again. See the server's log for details.",
    )
    unreadable.__cause__ = error
    return unreadable


def _unusable(tool: Declaration[Any, Any], what: str, advice: str) -> PluginError:
    """The error for a result that does not match the tool's output schema."""
    return PluginError(
        f"The result of {tool.name} is not the declared {tool.returns.__name__}: {what}. {advice}",
        hint="This is a bug in the plugin. Requests that were already sent to MAAS may have taken effect.",
    )


def kind_of(value: object) -> str:
    """Name the type of a plugin's value. The value itself may be secret or large."""
    if value is None:
        return "nothing"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"an object of type {type(value).__name__}"


def _missing(value: object, where: str = "") -> Iterator[str]:
    """Yield the fields that are missing in a model and in its nested models."""
    if isinstance(value, BaseModel):
        yield from (f"{where}{name}" for name in type(value).model_fields if name not in value.__dict__)
    for key, part in _parts(value):
        if isinstance(part, BaseModel | dict | list | tuple):
            yield from _missing(part, f"{where}{key}.")


def _infinite(content: object, where: str = "") -> Iterator[str]:
    """Yield the paths of numbers that JSON cannot represent."""
    for key, part in _parts(content):
        if isinstance(part, float) and not math.isfinite(part):
            yield f"{where}{key}"
        yield from _infinite(part, f"{where}{key}.")


def _parts(value: object) -> Iterable[tuple[object, object]]:
    if isinstance(value, BaseModel):
        return value.__dict__.items()
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list | tuple) else ()
