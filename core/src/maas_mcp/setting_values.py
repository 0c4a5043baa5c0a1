"""Cleans setting values from shells, files and clients: removes quotes, and detects placeholders."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_QUOTES: Final = ('""', "''", "``", "“”", "\u2018\u2019", "<>")
_BLANK: Final = r"\s\ufeff\u200b-\u200f\u2060"
"""Whitespace and zero-width characters, such as the byte order mark of the file that contained the value."""
_EDGES: Final = re.compile(rf"\A[{_BLANK}]+|[{_BLANK};,]+\Z")
_ASSIGNMENT: Final = re.compile(
    r"""(?:export\s+|set\s+|-\s+|\$env:)?  ["']? MAAS_\w+ (?: ["']?\s*= | ["']\s*: | :\s )  \s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
"""An assignment in a shell, PowerShell, ``.env``, YAML or JSON."""

_PLACEHOLDER: Final = re.compile(
    r"""
    \$\{\{?  [^{}]*  \}\}?          # ${NAME}, ${NAME:-default}, ${env:NAME}, ${input:id}, ${{ secrets.NAME }}
  | \{\{     [^{}]*  \}\}           # {{ name }}
  | \$\(     [^()]*  \)             # $(command)
  | \$env:   \w+                    # PowerShell
  | \$       [A-Z_][A-Z0-9_]*       # a shell variable
  | %        [A-Z_][A-Z0-9_]{2,} %  # a Windows variable
    """,
    re.VERBOSE | re.ASCII,
)
_NAME: Final = re.compile(
    r"(?: \$\{ (?:(?:env|input):)? | \$env: | \$ | % ) (\w[\w-]*) (?: \} | :[-=?] | % | $ )", re.VERBOSE | re.ASCII
)
"""Matches a variable's name, and not other text in braces, such as a key."""
_EXPLANATIONS: Final = (
    ("${{", "The template was not rendered."),
    ("${input:", "Only VS Code replaces `${input:…}`, from an entry of `inputs` with this id."),
    ("${env:", "VS Code and Cursor replace `${env:NAME}`; Claude Code uses `${NAME}`."),
    (
        "${",
        "Claude Code replaces `${NAME}` if its environment has that variable; VS Code and Cursor use `${env:NAME}`.",
    ),
    ("{{", "The template was not rendered."),
    ("%", "Only the Windows command prompt replaces `%NAME%`."),
    ("$", "Only a shell replaces this, except in single quotes; MCP clients use `${NAME}` or `${env:NAME}`."),
)
"""An explanation for each placeholder, by its first characters. Claude Code passes on unset variables unchanged."""
_OTHER_NAMES: Final = {
    "MAAS_URL": ("API_URL", "BASE_URL", "SERVER_URL", "HOST", "HOSTNAME", "ENDPOINT", "SERVER", "ADDRESS", "REGION"),
    "MAAS_API_KEY": ("KEY", "TOKEN", "API_TOKEN", "ACCESS_TOKEN", "CREDENTIALS", "OAUTH_TOKEN"),
    "MAAS_CA_BUNDLE": ("CA_CERT", "CACERT", "CA_FILE", "CERT"),
    "MAAS_MCP_MODE": ("MODE", "READ_ONLY", "UNATTENDED"),
}
"""Names after ``MAAS_`` that users and other programs give to the settings."""
_SIMILAR: Final = 0.85


def unwrap(text: str) -> str:
    """Remove whitespace, quotes, a leading ``MAAS_…=`` and a trailing ``;`` or ``,`` from a value."""
    bare = _EDGES.sub("", text)
    for opening, closing in _QUOTES:
        inner = bare[1:-1]
        if len(bare) > 1 and bare[0] == opening and bare[-1] == closing and not {opening, closing} & set(inner):
            return unwrap(inner)
    if assigned := _ASSIGNMENT.match(bare):
        bare = bare[assigned.end() :]
    return bare if bare == text else unwrap(bare)


def split_list(text: str) -> tuple[str, ...]:
    """Split a comma-separated list, which may have brackets around it and quotes around its items."""
    return tuple(item for part in text.strip().strip("[]").split(",") if (item := unwrap(part)))


def describe_placeholder(text: str, *, secret: bool = False, anywhere: bool = True) -> str | None:
    """Describe the unreplaced placeholder in ``text``; ``None`` without one.

    Args:
        text: The value.
        secret: Whether the value is a secret. The description then contains only the name of a variable, and only if
            the whole value is that variable.
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
    return f"it contains {written}, which was not replaced. {explanation} Otherwise write the value itself"


def guess_variable(name: str, known: Iterable[str]) -> str | None:
    """Return the ``known`` variable that ``name`` most likely stands for, or ``None``."""
    names = {variable: variable for variable in known}
    names |= {f"MAAS_{other}": variable for variable in names for other in _OTHER_NAMES.get(variable, ())}
    written = name.upper().replace("-", "_")
    for candidate in (written, re.sub("^MAAS_MCP_(MAAS_)?", "MAAS_", written)):
        if close := get_close_matches(candidate, names, n=1, cutoff=_SIMILAR):
            return names[close[0]]
    return None
