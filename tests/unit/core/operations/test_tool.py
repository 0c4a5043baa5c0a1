"""What a declaration finds out about itself."""

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
    """Type parameters of its own, in an order of its own."""

    async def run(self, ctx: ToolContext, args: ArgsT) -> ResultT:
        raise NotImplementedError


class HalfOpen(Turned[ResultT, str, Question]):
    """One of the models is settled here, the other one later."""


class TestItsModels:
    def test_they_are_found_through_generic_bases_that_several_tools_share(self) -> None:
        class Ask(HalfOpen[Answer]):
            """Ask."""

            name = "maas_ask"

        class Count(HalfOpen[OtherAnswer]):
            """Count."""

            name = "maas_count"

        assert (Ask.arguments, Ask.returns) == (Question, Answer)
        assert (Count.arguments, Count.returns) == (Question, OtherAnswer)

    def test_they_are_those_of_the_tool_that_another_one_extends(self) -> None:
        class Ask(Tool[Question, Answer]):
            """Ask."""

            name = "maas_ask"

            async def run(self, ctx: ToolContext, args: Question) -> Answer:
                raise NotImplementedError

        class AskAgain(Ask):
            """Ask again."""

            name = "maas_ask_again"

        assert (AskAgain.arguments, AskAgain.returns) == (Question, Answer)

    def test_a_tool_that_leaves_one_open_is_told_how_to_name_them(self) -> None:
        with pytest.raises(TypeError, match=r"Ask: expected pydantic models .* but there are none"):

            class Ask(HalfOpen):  # type: ignore[type-arg] # what it is about
                """Ask."""

                name = "maas_ask"
