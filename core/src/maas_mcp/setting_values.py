"""The values of settings as they arrive: with what shells, files and clients left around them, or never filled in."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_QUOTES: Final = ('""', "''", "``", "“”", "\u2018\u2019", "<>")
_BLANK: Final = r"\s\ufeff\u200b-\u200f\u2060"
"""Blanks, and characters without a width, such as the byte order mark of the file that a value was read from."""
_EDGES: Final = re.compile(rf"\A[{_BLANK}]+|[{_BLANK};,]+\Z")
_ASSIGNMENT: Final = re.compile(
    r"""(?:export\s+|set\s+|-\s+|\$env:)?  ["']? MAAS_\w+ (?: ["']?\s*= | ["']\s*: | :\s )  \s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
"""As shells, PowerShell, ``.env``, YAML and JSON write it."""

_PLACEHOLDER: Final = re.compile(
    r"""
    \$\{\{?  [^{}]*  \}\}?          # ${NAME}, ${NAME:-default}, ${env:NAME}, ${input:id}, ${{ secrets.NAME }}
  | \{\{     [^{}]*  \}\}           # {{ name }}
  | \$\(     [^()]*  \)             # $(command)
  | \$env:   \w+                    # PowerShell
  | \$       [A-Z_][A-Z0-9_]*       # a shell's
  | %        [A-Z_][A-Z0-9_]{2,} %  # that of Windows
    """,
    re.VERBOSE | re.ASCII,
)
_NAME: Final = re.compile(
    r"(?: \$\{ (?:(?:env|input):)? | \$env: | \$ | % ) (\w[\w-]*) (?: \} | :[-=?] | % | $ )", re.VERBOSE | re.ASCII
)
"""Tells the name of a variable from anything else that stands within braces, such as a key."""
_EXPLANATIONS: Final = (
    ("${{", "The template was not rendered."),
    ("${input:", "Only VS Code fills in `${input:…}`, from an entry of `inputs` with this id."),
    ("${env:", "VS Code and Cursor fill in `${env:NAME}`; Claude Code takes `${NAME}`."),
    (
        "${",
        "Claude Code fills in `${NAME}` if that variable is set where it runs; VS Code and Cursor take `${env:NAME}`.",
    ),
    ("{{", "The template was not rendered."),
    ("%", "Only the command prompt of Windows fills in `%NAME%`."),
    ("$", "Only a shell fills this in, and not within single quotes; an MCP client takes `${NAME}` or `${env:NAME}`."),
)
"""By how a placeholder begins, for whom it is one. Claude Code leaves a variable that is not set as it is written."""
_OTHER_NAMES: Final = {
    "MAAS_URL": ("API_URL", "BASE_URL", "SERVER_URL", "HOST", "HOSTNAME", "ENDPOINT", "SERVER", "ADDRESS", "REGION"),
    "MAAS_API_KEY": ("KEY", "TOKEN", "API_TOKEN", "ACCESS_TOKEN", "CREDENTIALS", "OAUTH_TOKEN"),
    "MAAS_CA_BUNDLE": ("CA_CERT", "CACERT", "CA_FILE", "CERT"),
}
"""The names, after ``MAAS_``, that people and other programs give to settings."""
_SIMILAR: Final = 0.85


def unwrapped(text: str) -> str:
    """The value within ``text``: without blanks, quotes, a ``NAME=`` of MAAS's before and a ``;`` or ``,`` after it."""
    bare = _EDGES.sub("", text)
    for opening, closing in _QUOTES:
        inner = bare[1:-1]
        if len(bare) > 1 and bare[0] == opening and bare[-1] == closing and not {opening, closing} & set(inner):
            return unwrapped(inner)
    if assigned := _ASSIGNMENT.match(bare):
        bare = bare[assigned.end() :]
    return bare if bare == text else unwrapped(bare)


def listed(text: str) -> tuple[str, ...]:
    """The items of a list with commas between them, which may stand in brackets and have quotes around them."""
    return tuple(item for part in text.strip().strip("[]").split(",") if (item := unwrapped(part)))


def placeholder(text: str, *, secret: bool = False, anywhere: bool = True) -> str | None:
    """A sentence about the placeholder that nothing filled in, if there is one in ``text``.

    Args:
        text: The value.
        secret: Never show more of the value than the name of a variable, and only where that is all of it.
        anywhere: Whether a placeholder may be a part of the value.
    """
    found = _PLACEHOLDER.search(text) if anywhere else _PLACEHOLDER.fullmatch(text)
    if found is None:
        return None
    written = found[0]
    if secret:
        name = _NAME.match(written) if written == text else None
        written = f"the variable {name[1]}" if name else "a variable"
    explanation = next(words for begin, words in _EXPLANATIONS if found[0].startswith(begin))
    return f"it holds {written}, which nothing filled in. {explanation} Elsewhere write the value itself"


def meant_by(name: str, known: Iterable[str]) -> str | None:
    """The variable that was probably meant by one called ``name``, of those that are ``known``."""
    names = {variable: variable for variable in known}
    names |= {f"MAAS_{other}": variable for variable in names for other in _OTHER_NAMES.get(variable, ())}
    written = name.upper().replace("-", "_")
    for candidate in (written, re.sub("^MAAS_MCP_(MAAS_)?", "MAAS_", written)):
        if close := get_close_matches(candidate, names, n=1, cutoff=_SIMILAR):
            return names[close[0]]
    return None
