"""The time by which a call answers: some clients give up after 60 seconds, and would lose the operation's id."""

import math
from typing import Final

import anyio

DEFAULT_LIMIT: Final = 50.0
"""Seconds for a call without a progress token. Its client may give up after 60 seconds, and an answer takes time."""


def answer_time(setting: float | None, *, has_token: bool) -> float:
    """Return the time by which a call that starts now answers, on anyio's clock; infinite for no limit.

    Args:
        setting: The setting ``answer_within``: seconds, 0 for no limit, ``None`` for the default.
        has_token: Whether the call has a progress token. Its client sees progress, and most clients then wait longer.
    """
    limit = setting if setting is not None else 0.0 if has_token else DEFAULT_LIMIT
    return anyio.current_time() + limit if limit else math.inf


def shorter_wait(asked: float | None, answer_by: float) -> float | None:
    """Return the seconds for which a call may follow an operation; ``None`` for no limit.

    Args:
        asked: The seconds that the caller wants to wait; ``None`` for no limit.
        answer_by: The call's :func:`answer_time`.
    """
    left = max(0.0, answer_by - anyio.current_time())
    limit = min(math.inf if asked is None else asked, left)
    return None if limit == math.inf else limit
