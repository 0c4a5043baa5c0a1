"""Types of settings: lists of names, paths and secrets, as users write them in the environment or a TOML file."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from maas_mcp.setting_values import describe_placeholder, split_list, unwrap

MIN_SECRET_LENGTH: Final = 16
"""Minimum characters of a secret."""
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")


def _split_list(value: object) -> object:
    return split_list(value) if isinstance(value, str) else value


def upper(value: object) -> object:
    """Convert a text to upper case."""
    return value.strip().upper() if isinstance(value, str) else value


def lower(value: object) -> object:
    """Convert a text to lower case."""
    return value.strip().lower() if isinstance(value, str) else value


def _split_secrets(value: object) -> object:
    """Split a text with several secrets at whitespace. If all words are short, the text is one passphrase."""
    if isinstance(value, list):
        return [unwrap(each) if isinstance(each, str) else each for each in value]
    if not isinstance(value, str):
        return value
    words = [word for each in value.split() if (word := unwrap(each))]
    return words if any(len(word) >= MIN_SECRET_LENGTH for word in words) else [value]


def _check_strength(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, secret in enumerate(secrets):
        if problem := _weakness(secret.get_secret_value()):
            which = f"the {_ORDINALS[number]} secret" if number < len(_ORDINALS) else f"secret number {number + 1}"
            raise ValueError(f"{which if len(secrets) > 1 else 'the secret'} is {problem}")
    return secrets


def _weakness(secret: str) -> str | None:
    if unfilled := describe_placeholder(secret, secret=True, anywhere=False):
        return f"a placeholder: {unfilled}"
    if len(secret) < MIN_SECRET_LENGTH:
        return f"too short: expected at least {MIN_SECRET_LENGTH} characters, because a shorter one is easy to guess"
    return None if is_utf8(secret) else "not UTF-8 text"


def is_utf8(value: str) -> bool:
    """Whether a value from the environment or the command line is UTF-8. Python turns other bytes into surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def expand_user(path: str) -> Path:
    """Replace ``~`` or ``~user`` at the start of a path by the home directory.

    Raises:
        ValueError: The user or the home directory is unknown.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = Path(path).parts[0].removeprefix("~")
    raise ValueError(f"this machine has no user {user}" if user else "your home directory is unknown")


def _expand_user(value: object) -> object:
    return expand_user(value) if isinstance(value, str) else value


def _off_or_path(value: object) -> object:
    return "off" if lower(value) == "off" else _expand_user(value)


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_list)]
"""A list of names, separated by commas in the environment."""

UserPath = Annotated[Path | None, BeforeValidator(_expand_user)]
"""A path in which ``~`` is the home directory."""

AuditTarget = Annotated[Path | Literal["off"] | None, BeforeValidator(_off_or_path)]
"""The path of the audit, or ``off``."""

Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_secrets), AfterValidator(_check_strength)]
"""Several secrets, separated by whitespace in the environment."""
