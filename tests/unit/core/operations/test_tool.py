"""Arguments and results that a declaration finds by its type parameters."""

from typing import Generic, TypeVar

import pytest
from pydantic import BaseModel

from maas_mcp.operations.declaring.tool import ArgsT, ResultT, Tool, ToolContext


class Question(BaseModel):
    system_id: str


class Answer(BaseModel):
    text: str


class OtherAnswer(BaseModel):
    number: int


KindT = TypeVar("KindT")


class Turned(Tool[ArgsT, ResultT], Generic[ResultT, KindT, ArgsT]):
    """Its own type parameters, in another order."""

    async def run(self, ctx: ToolContext, args: ArgsT) -> ResultT:
        raise NotImplementedError


class HalfOpen(Turned[ResultT, str, Question]):
    """One of the models is set here, the other one in a subclass."""


class TestModels:
    def test_models_are_found_through_shared_generic_bases(self) -> None:
        class Ask(HalfOpen[Answer]):
            """Ask."""

            name = "maas_ask"

        class Count(HalfOpen[OtherAnswer]):
            """Count."""

            name = "maas_count"

        assert (Ask.arguments, Ask.returns) == (Question, Answer)
        assert (Count.arguments, Count.returns) == (Question, OtherAnswer)

    def test_models_are_inherited_from_an_extended_tool(self) -> None:
        class Ask(Tool[Question, Answer]):
            """Ask."""

            name = "maas_ask"

            async def run(self, ctx: ToolContext, args: Question) -> Answer:
                raise NotImplementedError

        class AskAgain(Ask):
            """Ask again."""

            name = "maas_ask_again"

        assert (AskAgain.arguments, AskAgain.returns) == (Question, Answer)

    def test_a_tool_without_both_models_is_rejected_with_a_fix(self) -> None:
        with pytest.raises(TypeError, match=r"Ask: expected pydantic models .* but there are none"):

            class Ask(HalfOpen):  # type: ignore[type-arg] # under test
                """Ask."""

                name = "maas_ask"
