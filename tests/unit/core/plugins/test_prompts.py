"""Prompts that plugins declare in code are checked when the plugin is loaded."""

from collections.abc import Callable, Sequence

import pytest
from pydantic import BaseModel

from maas_mcp.api import Prompt, PromptContext
from maas_mcp.plugins.registry import PluginState, load_registry

Install = Callable[..., str]

PROMPT = """
from maas_mcp.api import Prompt

def prompt(called):
    class Ask(Prompt[Nothing]):
        "Ask."
        name = called
        async def messages(self, ctx, args):
            return ["Hello"]
    return Ask

"""


class Nothing(BaseModel):
    pass


def hook(returned: str) -> str:
    """Return the code of a hook that returns this."""
    return PROMPT + f"@hookimpl\ndef maas_mcp_prompts():\n    return {returned}\n"


def error_of(install: Install, group: str, returned: str) -> str:
    install("ask", hook(returned))
    (record,) = load_registry(group=group).records
    assert record.state is PluginState.FAILED
    assert record.error
    return record.error


def test_prompts_are_registered_as_instances_by_name(install: Install, group: str) -> None:
    install("ask", hook("[prompt('b-c'), prompt('a_1')]"))

    registry = load_registry(group=group)

    assert list(registry.prompts) == ["a_1", "b-c"]
    assert registry.prompts["a_1"].description() == "Ask."


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("prompt('a')", "Expected a list of Prompt classes."),
        ("[prompt('a')()]", "Return your class, not an instance of it."),
        ("[Prompt]", "Expected concrete subclasses of Prompt."),
        ("[prompt('a b')]", "A prompt is named 'a b'."),
        ("[prompt('a'), prompt('a')]", "2 of its prompts are named a."),
    ],
)
def test_a_wrong_prompt_is_rejected_with_the_reason(install: Install, group: str, returned: str, expected: str) -> None:
    assert expected in error_of(install, group, returned)


def test_the_second_of_two_plugins_with_one_prompt_is_rejected(install: Install, group: str) -> None:
    install("one", hook("[prompt('a')]"))
    install("two", hook("[prompt('a')]"))

    one, two = load_registry(group=group).records

    assert one.state is PluginState.LOADED
    assert two.error
    assert "has a prompt named a, and 'one' of acme-one 1.0 has one too." in two.error


def test_a_prompt_without_a_docstring_is_rejected_when_it_is_defined() -> None:
    with pytest.raises(TypeError, match="expected a docstring"):

        class Ask(Prompt[Nothing]):
            name = "ask"

            async def messages(self, ctx: PromptContext, args: Nothing) -> Sequence[str]:  # noqa: ARG002 - declared
                return []


def test_a_prompt_without_arguments_model_is_rejected_when_it_is_defined() -> None:
    with pytest.raises(TypeError, match=r"Write `class Ask\(Prompt\[Arguments\]\)`"):

        class Ask(Prompt):  # type: ignore[type-arg] # the mistake
            """Ask."""

            name = "ask"

            async def messages(self, ctx: PromptContext, args: BaseModel) -> Sequence[str]:  # noqa: ARG002 - declared
                return []
