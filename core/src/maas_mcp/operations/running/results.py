"""Results that plugins give: checked against what their class declares, before a client is sent any."""

import json
import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Literal

from pydantic import BaseModel

from maas_mcp.errors import MaasError, OperationError, PluginError, ResultUnreadableError
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.operation import LongRunning
from maas_mcp.operations.declaring.tool import Declaration, ResultT
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.status import OperationStatus

logger = logging.getLogger(__name__)


def structured(tool: Declaration[Any, Any], result: object) -> dict[str, Any]:
    """The result as JSON, with the fields that ``tool.returns`` has; those that only a subclass has are left out.

    Raises:
        PluginError: It is of another class, lacks a field, or holds what its model or JSON does not have.
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
        raise _unusable(tool, f"it does not fit that model. {said}", "Give each field a value of its type.") from error
    for name in _missing(result):
        raise _unusable(tool, f"it has no `{name}`", "Make it by calling the class: `model_construct` checks nothing.")
    try:
        json.dumps(content, allow_nan=False)
    except ValueError as error:
        names = ", ".join(f"`{name}`" for name in _infinite(content))
        raise _unusable(tool, f"{names} is NaN or infinite", "JSON has no such numbers: use `None`.") from error
    return content


def summary_of(tool: Declaration[Any, ResultT], result: ResultT) -> str:
    """The result in one line for people; that of all tools where the plugin's own cannot be had."""
    try:
        text: object = tool.summary(result)
        if isinstance(text, str):
            return text
        logger.error("%s.summary returned %s; expected a string", type(tool).__qualname__, kind_of(text))
    except BaseException:  # it is no coroutine: nothing cancels it
        logger.exception("%s.summary failed", type(tool).__qualname__)
    return Declaration.summary(tool, result)


class Reading(Generic[ResultT]):
    """The result of an operation that MAAS has finished, as its plugin reads it.

    ``with reading.watched(): reading.result = …``, then :meth:`status`. A plugin that fails does not undo what MAAS
    has done: the operation has ended, and only its result is missing.
    """

    def __init__(self, operation: LongRunning[Any, ResultT], message: str) -> None:
        self._operation = operation
        self._message = message
        self.result: ResultT | None = None
        self._problem: ResultUnreadableError | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Run the plugin's code that sets :attr:`result`.

        Raises:
            MaasError: MAAS cannot be asked for it.
            OperationError: The plugin says that the operation has not succeeded, or it was cancelled.
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
        """How the operation has ended."""
        result = None if self._problem else self.result
        return OperationStatus(handle, 1.0, self._message, result, state=state, problem=self._problem)


def _unreadable(operation: LongRunning[Any, Any], message: str, error: BaseException) -> ResultUnreadableError:
    why = error.message if isinstance(error, PluginError) else f"it failed with {type(error).__name__}."
    unreadable = ResultUnreadableError(
        f"MAAS has finished {operation.name} ({message}), but the plugin could not read the result: {why}",
        hint="Do not start it again. The server's log has the details.",
    )
    unreadable.__cause__ = error
    return unreadable


def _unusable(tool: Declaration[Any, Any], what: str, advice: str) -> PluginError:
    """Why a result is not sent: it was of no use to a client that reads it by the tool's output schema."""
    return PluginError(
        f"The result of {tool.name} is not {tool.returns.__name__}, as the plugin declares it: {what}. {advice}",
        hint="This is a fault of the plugin. What was already asked of MAAS may have taken effect.",
    )


def kind_of(value: object) -> str:
    """What a plugin gave, in words: never with the value, which may be a secret or a megabyte."""
    if value is None:
        return "nothing"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"an object of type {type(value).__name__}"


def _missing(value: object, where: str = "") -> Iterator[str]:
    """The fields that a model does not have, and those that the models in it do not."""
    if isinstance(value, BaseModel):
        yield from (f"{where}{name}" for name in type(value).model_fields if name not in value.__dict__)
    for key, part in _parts(value):
        if isinstance(part, BaseModel | dict | list | tuple):
            yield from _missing(part, f"{where}{key}.")


def _infinite(content: object, where: str = "") -> Iterator[str]:
    """The numbers that JSON does not have."""
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
