"""Operations wait for answers in the process that asks, a bounded number for each principal."""

import anyio
import pytest
from pydantic import BaseModel

from maas_mcp.calls.waiting import ANSWER_LIMIT, MAX_ENDED, MAX_WAITING, WaitingOperation, WaitingOperations
from maas_mcp.errors import NotAnsweredError, OperationRefusedError, OperationRevertedError
from maas_mcp.operations.declaring.questions import ClientRequest, Question
from maas_mcp.testing.answers import Answers

pytestmark = pytest.mark.anyio


class Name(BaseModel):
    name: str


NAME = Question("Name?", Name)


def accept(_request: ClientRequest) -> BaseModel | None:
    return Name(name="Ada")


def misfit(_request: ClientRequest) -> BaseModel | None:
    return None


def decline(_request: ClientRequest) -> BaseModel | None:
    raise NotAnsweredError("The user declined.")


async def test_an_operation_continues_when_all_its_questions_are_answered() -> None:
    waiting = WaitingOperation(Answers({}), 0)
    answers: dict[str, BaseModel] = {}

    async def ask() -> None:
        answers.update(await waiting.ask({"first": NAME, "second": NAME}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        first, second = waiting.pending
        waiting.answer(first, accept)
        waiting.answer("unknown", accept)
        await anyio.wait_all_tasks_blocked()
        assert list(waiting.pending) == [second]
        assert not answers
        waiting.answer(second, accept)

    assert answers == {"first": Name(name="Ada"), "second": Name(name="Ada")}


async def test_a_question_is_asked_again_under_another_key_if_the_answer_does_not_fit() -> None:
    waiting = WaitingOperation(Answers({}), 0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waiting.ask, {"name": NAME})
        await anyio.wait_all_tasks_blocked()
        (key,) = waiting.pending
        waiting.answer(key, misfit)
        (again,) = waiting.pending
        waiting.answer(again, accept)

    assert key != again


@pytest.mark.parametrize("how", ["declined", "cancelled", "late"])
async def test_without_an_answer_the_operation_ends(how: str) -> None:
    waiting = WaitingOperation(Answers({}), 0)

    async def act() -> None:
        await anyio.wait_all_tasks_blocked()
        if how == "declined":
            waiting.answer(next(iter(waiting.pending)), decline)
        elif how == "cancelled":
            waiting.end(OperationRevertedError("It was cancelled."))

    started = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(act)
        with pytest.raises(OperationRevertedError if how == "cancelled" else NotAnsweredError):
            await waiting.ask({"name": NAME})

    assert waiting.error is not None
    assert not waiting.pending
    assert anyio.current_time() - started == pytest.approx(ANSWER_LIMIT if how == "late" else 0.0, abs=1.0)


async def test_a_principal_sees_only_its_own_operations_and_has_a_bounded_number_of_them() -> None:
    operations = WaitingOperations()
    mine = [operations.add("ada", f"id{number}", Answers({}), 0) for number in range(MAX_WAITING)]

    assert operations.find("ada", "id0") is mine[0]
    assert operations.find("bob", "id0") is None
    operations.add("bob", "id0", Answers({}), 0)
    with pytest.raises(OperationRefusedError, match=f"{MAX_WAITING} operations already wait"):
        operations.add("ada", "another", Answers({}), 0)
    mine[0].end(NotAnsweredError("no"))
    operations.add("ada", "another", Answers({}), 0)
    with pytest.raises(OperationRefusedError, match="already waits"):
        operations.add("bob", "id0", Answers({}), 0)


def test_failed_starts_of_one_principal_do_not_displace_those_of_another() -> None:
    operations = WaitingOperations()
    operations.add("alice", "hers", Answers({}), 0).end(NotAnsweredError("The user declined."))
    for number in range(MAX_ENDED + 2):
        operations.add("bob", str(number), Answers({}), 0).end(NotAnsweredError("The user declined."))

    assert operations.find("alice", "hers") is not None
    assert operations.find("bob", "0") is None
    assert operations.find("bob", str(MAX_ENDED)) is not None
