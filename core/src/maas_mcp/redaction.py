"""Finds and replaces secrets in texts and in named values, for logs, MAAS's messages and the audit."""

import re
from functools import lru_cache
from typing import Final

HIDDEN: Final = "***"
"""The replacement for a secret."""
_SECRETS: Final = re.compile(
    r"""(?P<start> \bBearer\s+ | \bmaas-mcp_ ) [\w%.~+/=-]{16,}
      | (?P<oauth> \boauth_(?:token|signature|consumer_key)=\\?"? ) [\w%.~+/=-]+
      | \b\w{18}:\w{18}:\w{32}\b  # an API key of MAAS
      | (?P<user> \b[a-z]+://[^\s/:@]* : ) [^\s/@]+ (?=@)  # the password in a URL""",
    re.VERBOSE,
)
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
    return _SECRETS.sub(lambda found: f"{found['start'] or found['oauth'] or found['user'] or ''}{HIDDEN}", text)
