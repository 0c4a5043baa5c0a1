"""Finds and replaces secrets in texts and in named values, for logs, MAAS's messages and the audit."""

import re
from functools import lru_cache
from typing import Final

HIDDEN: Final = "***"
"""The replacement for a secret."""
# Each pattern begins with a literal, which re finds about fifty times as fast as alternatives.
_SECRETS: Final = (
    re.compile(r"(Bearer\s+)[\w%.~+/=-]{16,}"),
    re.compile(r"(maas-mcp_)[\w%.~+/=-]{16,}"),
    re.compile(r"""(oauth_(?:token|signature|consumer_key)=\\?"?)[\w%.~+/=-]+"""),
    re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)"),  # the password in a URL
)
_API_KEY: Final = re.compile(r"\b\w{18}:\w{18}:\w{32}\b")
_API_KEY_END: Final = re.compile(r":\w{18}:\w{32}\b")
_SECRET_NAME: Final = re.compile(
    r"""user_?data | power_parameters | passw | passphrase | (?:^|_)pass(?:$|_)
      | secret | token | credential | (?:^|_)key$""",
    re.VERBOSE | re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether the value of a field or argument with this name is secret, such as ``power_parameters_power_pass``.

    Public keys count as well, because MAAS uses the name ``key`` for both kinds.
    """
    return _SECRET_NAME.search(name) is not None


def redact(text: str) -> str:
    """Replace everything that looks like a credential: tokens, OAuth parameters, MAAS API keys, passwords in URLs."""
    if _API_KEY_END.search(text):
        text = _API_KEY.sub(HIDDEN, text)
    for pattern in _SECRETS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text
