"""The checks of the prompts that plugins declare in code."""

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pluggy

from maas_mcp.errors import PluginError
from maas_mcp.operations.declaring.prompt import Prompt
from maas_mcp.plugins.validation import PROMPTS, call_hook

AnyPrompt = Prompt[Any]

PROMPT_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def declared_prompts(manager: pluggy.PluginManager) -> Iterator[AnyPrompt]:
    """Call the hook of the manager's one plugin, and yield an instance of each class it returns.

    Raises:
        PluginError: The hook returned something else. Exceptions of the plugin's own code are not caught.
    """
    for item in call_hook(manager, PROMPTS, "Prompt classes", "[YourPrompt]"):
        if not (isinstance(item, type) and issubclass(item, Prompt)) or inspect.isabstract(item):
            raise PluginError(
                f"{PROMPTS}() returned {item!r} in its list. Expected concrete subclasses of Prompt. "
                "Return your class, not an instance of it."
            )
        yield item()


def check_prompt_names(names: Iterable[str]) -> None:
    """Reject a plugin if a prompt's name is malformed or duplicate.

    Args:
        names: The names of its prompts.

    Raises:
        PluginError: At least one name is invalid.
    """
    for name, times in Counter(names).items():
        if not isinstance(name, str) or not PROMPT_NAME.fullmatch(name):
            raise PluginError(
                f"A prompt is named {name!r}. Expected at most 64 letters, digits, hyphens and underscores. "
                "Change the class's `name`."
            )
        if times > 1:
            raise PluginError(f"{times} of its prompts are named {name}. Expected unique names. Rename all but one.")
