"""Results of plugins: the declared model, or an error for the client."""

import logging
import math
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, computed_field

from maas_mcp.errors import MaasPermissionError, MaasUnavailableError, OperationFailedError, PluginError
from maas_mcp.operations.declaring.tool import Tool, ToolContext
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.results import ResultReader, structured, summary_of
from maas_mcp.operations.running.status import OperationStatus
from tests.unit.core.operations.declared import Deploy, MachineResult


class Nothing(BaseModel):
    """No arguments."""


class Disk(BaseModel):
    """A nested model."""

    size: float


class Found(BaseModel):
    """A result."""

    name: str
    disks: list[Disk] = []
    by_name: dict[str, Disk] = {}
    token: SecretStr | None = None
    price: Decimal | None = None
    owner: str | None = Field(default=None, serialization_alias="ownedBy")

    @computed_field
    def count(self) -> int:
        """The number of disks."""
        return len(self.disks)


class More(Found):
    """A result with an undeclared field."""

    secret: str = "hidden"


class Find(Tool[Nothing, Found]):
    """Find."""

    name = "acme_find"

    async def run(self, ctx: ToolContext, args: Nothing) -> Found:
        raise NotImplementedError


def test_a_result_matches_its_schema() -> None:
    content = structured(Find(), Found(name="a", disks=[Disk(size=1)], price=Decimal("0.1"), token=SecretStr("x")))
    assert content == {
        "name": "a",
        "disks": [{"size": 1.0}],
        "by_name": {},
        "token": "**********",
        "price": "0.1",
        "ownedBy": None,
        "count": 1,
    }


def test_fields_of_a_subclass_are_not_sent() -> None:
    assert structured(Find(), More(name="a")) == structured(Find(), Found(name="a"))


def hollow(model: type[BaseModel]) -> BaseModel:
    """A model without its fields, which pydantic allows."""
    return model.model_construct()


def changed(**fields: Any) -> Found:
    found = Found(name="a")
    for name, value in fields.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "it is nothing. Return `Found(…)`."),
        ({"name": "a"}, "it is an object of type dict. Return `Found(…)`."),
        ([Found(name="a")], "it is an object of type list."),
        ("done", "it is an object of type str."),
        (Disk(size=1), "it is an object of type Disk."),
        (Found, "it is the class Found."),
        (hollow(Found), "it has no `name`."),
        (changed(disks=[hollow(Disk)]), "it has no `disks.0.size`."),
        (changed(by_name={"sda": hollow(Disk)}), "it has no `by_name.sda.size`."),
        (changed(name=5), "it does not match that model."),
        (changed(disks=[{"size": 1}]), "it does not match that model."),
        (changed(disks=None), "it does not match that model."),
        (changed(disks=[Disk(size=math.nan)]), "`disks.0.size` is NaN or infinite. JSON has no such numbers"),
        (changed(by_name={"sda": Disk(size=-math.inf)}), "`by_name.sda.size` is NaN or infinite."),
    ],
)
def test_a_result_that_does_not_match_the_declaration_is_refused_with_the_reason(result: object, said: str) -> None:
    with pytest.raises(PluginError) as refusal:
        structured(Find(), result)
    assert refusal.value.message.startswith("The result of acme_find is not the declared Found: ")
    assert said in refusal.value.message
    assert refusal.value.hint


def test_a_failing_serializer_is_a_bug_in_the_plugin() -> None:
    class Torn(Found):
        @computed_field
        def half(self) -> int:
            """Fails."""
            return 1 // 0

    class FindTorn(Tool[Nothing, Torn]):
        """Find."""

        name = "acme_find_torn"

        async def run(self, ctx: ToolContext, args: Nothing) -> Torn:
            raise NotImplementedError

    with pytest.raises(PluginError, match="it does not match that model"):
        structured(FindTorn(), Torn(name="a"))


@pytest.mark.parametrize("summary", [lambda *_: None, lambda *_: 1 // 0, lambda *_: exec("raise SystemExit")])
def test_a_failing_summary_does_not_lose_the_result(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, summary: Any
) -> None:
    monkeypatch.setattr(Find, "summary", summary)
    assert summary_of(Find(), Found(name="a")) == "name: a, by_name: {}, count: 0"
    assert "Find.summary" in caplog.text


HANDLE = Handle("maas_deploy_machine", "abc", 0, 0, ())


def read(result: object) -> OperationStatus[MachineResult]:
    """Return the status of an ended operation with this result; an error is raised while it is read."""
    reading: ResultReader[Any] = ResultReader(Deploy(), "Deployed")
    with reading.guarded():
        if isinstance(result, BaseException):
            raise result
        reading.result = result
    return reading.status(HANDLE)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (None, "it is nothing"),
        ({"hostname": "node01"}, "it is an object of type dict"),
        (KeyError("x"), "it raised KeyError."),
        (KeyboardInterrupt(), "it raised KeyboardInterrupt."),
        (SystemExit(3), "it raised SystemExit."),
        (BaseException(), "it raised BaseException."),
    ],
    ids=repr,
)
@pytest.mark.anyio
async def test_an_operation_with_an_unreadable_result_has_ended(
    caplog: pytest.LogCaptureFixture, result: object, why: str
) -> None:
    status = read(result)
    assert (status.state, status.ended, status.fraction, status.result) == ("succeeded", True, 1.0, None)
    assert status.problem
    assert status.problem.message.startswith(
        "MAAS has finished maas_deploy_machine (Deployed), but the plugin could not read the result: "
    )
    assert why in status.problem.message
    assert status.problem.hint == "Do not start it again. See the server's log for details."
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(
    "error",
    [MaasUnavailableError("504"), MaasPermissionError("403"), OperationFailedError("It did not boot after all.")],
    ids=str,
)
@pytest.mark.anyio
async def test_errors_of_maas_and_verdicts_of_the_plugin_are_raised_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as passed:
        read(error)
    assert passed.value is error


@pytest.mark.parametrize("given", [{"result": Found(name="a")}, {"state": "succeeded"}], ids=["early", "nothing"])
def test_a_status_cannot_contradict_itself(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a result or a problem if it has ended"):
        OperationStatus(HANDLE, None, "", **given)
