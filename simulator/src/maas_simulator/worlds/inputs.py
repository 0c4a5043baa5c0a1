"""Base models for what users write (world files, control requests), and error messages with the place of each error."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails

from maas_simulator.model.power import BmcMode, PowerErrors
from maas_simulator.region import SimulatedRegion

Schema = Mapping[str, Any]
"""A JSON Schema."""

UNKNOWN: Final = ("extra_forbidden", "unexpected_keyword_argument")
"""Pydantic's error types for an unknown key, in a model and in a dataclass."""
OBJECTS: Final = ("dataclass_type", "dict_type", "model_type")
"""Pydantic's error types for a value that should be an object."""


class Input(BaseModel):
    """An object from a world file or a control request. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class PlanInput(Input):
    """A planned failure: exactly one of ``fail``, ``hang``, ``bmc_down`` and ``rack_down``."""

    machine: str | None = None
    """The machine's hostname or system id. Needed except with ``rack_down``."""
    fail: str | None = None
    """The stage or script at which the machine's next matching operation fails."""
    hang: str | None = None
    """The stage or script at which the machine's next matching operation hangs."""
    reason: str | None = None
    """With ``fail`` or ``bmc_down``: the reason that is reported instead of MAAS's own message."""
    bmc_down: bool = False
    """Whether the machine's BMC fails, until the plans are removed."""
    mode: BmcMode = "down"
    """With ``bmc_down``: how it fails. ``down``: it does not answer. ``slow``: it works, but each command takes
    ``seconds``. ``no on``, ``no off``, ``no query``: it fails to switch the machine on or off, or to report its state;
    ``no query`` also fails switching, but the machine switches. ``stays off``, ``stays on``: it accepts all commands,
    and the machine does not change. ``unroutable``: no rack controller can reach it."""
    errors: PowerErrors = "driver"
    """With ``bmc_down``: whose error MAAS reports. The agent's is ``ExitError: exit status 1`` for a request, and
    ``Activity task failed`` for a deployment."""
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """With ``bmc_down``: how many real seconds each command takes. A query is one command, and switching is three."""
    rack_down: str | None = None
    """The system id of a rack controller that is disconnected until the plans are removed."""

    @model_validator(mode="after")
    def _check_exactly_one(self) -> Self:
        if sum(map(bool, (self.fail, self.hang, self.bmc_down, self.rack_down))) != 1:
            raise ValueError("a plan needs exactly one of fail, hang, bmc_down and rack_down")
        if (self.machine is None) != (self.rack_down is not None):
            raise ValueError("machine is needed with fail, hang and bmc_down, and is not allowed with rack_down")
        if self.reason and not (self.fail or self.bmc_down):
            raise ValueError("reason is allowed only with fail and bmc_down")
        for name in ("mode", "errors", "seconds"):
            if name in self.model_fields_set and not self.bmc_down:
                raise ValueError(f"{name} is allowed only with bmc_down")
        return self

    def carry_out(self, region: SimulatedRegion) -> None:
        """Apply the plan to a region."""
        if self.rack_down is not None:
            region.rack_down(self.rack_down)
        elif self.bmc_down:
            region.bmc_down(
                self.machine or "", mode=self.mode, errors=self.errors, reason=self.reason, seconds=self.seconds
            )
        else:
            region.plan(self.machine or "", fail=self.fail, hang=self.hang, reason=self.reason)


def explain(error: ValidationError, kind: TypeAdapter[Any]) -> list[str]:
    """Return a line for each error, with its place, the problem and the allowed values."""
    schema = kind.json_schema()
    return [_line(details["loc"], _message(details), details["type"], schema) for details in error.errors()]


def _message(details: ErrorDetails) -> str:
    """The error message, with the value where YAML may have parsed a name as a number or a date."""
    if details["type"] == "string_pattern_mismatch":
        return f"{details['msg']}; it was {details['input']!r}"
    if details["type"] == "string_type" and isinstance(details["input"], (int, float, date)):
        return f"{details['msg']}; it was {details['input']}, so put it in quotes"
    return details["msg"]


def _line(place: Sequence[int | str], message: str, kind: str, schema: Schema) -> str:
    path, known = "", _objects(schema, schema)
    for part in place:
        if kind in UNKNOWN and part == place[-1]:
            keys = dict.fromkeys(key for each in known for key in each.get("properties", {}))
            message = f"unknown key; the keys are: {', '.join(keys)}"
        elif not (known := [found for each in known for found in _children(each, part, schema)]):
            break  # The remaining parts name an alternative of a union, which the user did not write.
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    if kind in OBJECTS:
        message = "expected an object with keys and values"
    message = message.removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _objects(schema: Schema, whole: Schema) -> list[Schema]:
    """The schema with its reference resolved, or each of its alternatives."""
    if "$ref" in schema:
        return _objects(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in schema:
        return [each for one in schema["anyOf"] for each in _objects(one, whole)]
    return [schema]


def _children(schema: Schema, part: int | str, whole: Schema) -> list[Schema]:
    """The schemas of the value at an index or key; empty if there is none."""
    more = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
    inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part, more)
    return [] if inner is None else _objects(inner, whole)
