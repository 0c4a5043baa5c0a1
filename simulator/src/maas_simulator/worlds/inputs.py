"""What people write for a simulator, checked: models that refuse what they do not know, and errors that name places."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails

from maas_simulator.model.power import PowerErrors
from maas_simulator.region import SimulatedRegion

Schema = Mapping[str, Any]
"""A JSON Schema."""

UNKNOWN: Final = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic calls a key that a model, or a dataclass, does not have."""
OBJECTS: Final = ("dataclass_type", "dict_type", "model_type")
"""What it calls something else where such an object should be."""


class Input(BaseModel):
    """An object somebody wrote: a key that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class PlanInput(Input):
    """What is to go wrong: exactly one of ``fail``, ``hang``, ``bmc_down`` and ``rack_down``."""

    machine: str | None = None
    """Its hostname or system id; needed but for ``rack_down``."""
    fail: str | None = None
    """The stage or script at which the machine's next operation that has it fails."""
    hang: str | None = None
    """The stage or script that the machine's next operation that has it never gets past."""
    reason: str | None = None
    """With ``fail`` or ``bmc_down``: the reason that is reported, instead of MAAS's own words."""
    bmc_down: bool = False
    """The machine's BMC answers no more, until the plans are cleared."""
    errors: PowerErrors = "driver"
    """With ``bmc_down``: whose words MAAS gives. The agent's are ``ExitError: exit status 1`` for a request, and
    ``Activity task failed`` for a deployment."""
    rack_down: str | None = None
    """The system id of a rack controller that is disconnected until the plans are cleared."""

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if sum(map(bool, (self.fail, self.hang, self.bmc_down, self.rack_down))) != 1:
            raise ValueError("exactly one of fail, hang, bmc_down and rack_down is needed")
        if (self.machine is None) != (self.rack_down is not None):
            raise ValueError("machine is needed with fail, hang and bmc_down, and does not go with rack_down")
        if self.reason and not (self.fail or self.bmc_down):
            raise ValueError("reason goes with fail and bmc_down only")
        if self.errors != "driver" and not self.bmc_down:
            raise ValueError("errors goes with bmc_down only")
        return self

    def carry_out(self, region: SimulatedRegion) -> None:
        """Tell the region."""
        if self.rack_down is not None:
            region.rack_down(self.rack_down)
        elif self.bmc_down:
            region.bmc_down(self.machine or "", errors=self.errors, reason=self.reason)
        else:
            region.plan(self.machine or "", fail=self.fail, hang=self.hang, reason=self.reason)


def explain(error: ValidationError, kind: TypeAdapter[Any]) -> list[str]:
    """A line for each thing that was wrong: its place, what is wrong with it, and what is allowed there."""
    schema = kind.json_schema()
    return [_line(details["loc"], _words(details), details["type"], schema) for details in error.errors()]


def _words(details: ErrorDetails) -> str:
    """What is wrong, and with what: a name may be no name, or be one that YAML takes for a number or a date."""
    if details["type"] == "string_pattern_mismatch":
        return f"{details['msg']}; it was {details['input']!r}"
    if details["type"] == "string_type" and isinstance(details["input"], (int, float, date)):
        return f"{details['msg']}; it was {details['input']}, so write it in quotes"
    return details["msg"]


def _line(place: Sequence[int | str], message: str, kind: str, schema: Schema) -> str:
    path, known = "", _objects(schema, schema)
    for part in place:
        if kind in UNKNOWN and part == place[-1]:
            keys = dict.fromkeys(key for each in known for key in each.get("properties", {}))
            message = f"there is no such key; there are: {', '.join(keys)}"
        elif not (known := [found for each in known for found in _inside(each, part, schema)]):
            break  # what follows names an alternative of a union, which nobody wrote
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    if kind in OBJECTS:
        message = "this should be names with values"
    message = message.removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _objects(schema: Schema, whole: Schema) -> list[Schema]:
    """A schema with its reference followed, or each of its alternatives."""
    if "$ref" in schema:
        return _objects(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in schema:
        return [each for one in schema["anyOf"] for each in _objects(one, whole)]
    return [schema]


def _inside(schema: Schema, part: int | str, whole: Schema) -> list[Schema]:
    """What may be at an index or a key of a value; nothing if it has none."""
    more = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
    inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part, more)
    return [] if inner is None else _objects(inner, whole)
