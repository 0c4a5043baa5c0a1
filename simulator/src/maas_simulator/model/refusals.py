"""The answers with which MAAS refuses a request: a status, a body to the letter, and what it varies by."""

import json
from collections.abc import Mapping, Sequence

TEXT = "text/plain; charset=utf-8"
PLAIN = "text/plain"
HTML = "text/html; charset=utf-8"
JSON_TYPE = "application/json; charset=utf-8"

BY_USER = {"Vary": "Authorization, Cookie"}
"""The header of what the API itself answers; what its middleware makes of an error varies by the cookie alone."""
RACK_DOWN = "Unable to connect to any rack controller {}; no connections available."
"""The body of a 503, with the system id of the rack controller that is away."""


class Refusal(Exception):  # noqa: N818 - an answer of MAAS, not an error of the simulator
    """A request that MAAS refuses; raised by what handles it, turned into an answer by the application."""

    def __init__(
        self,
        status: int,
        body: str = "",
        content_type: str = TEXT,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = {**(BY_USER if content_type == PLAIN else {"Vary": "Cookie"}), **(headers or {})}

    def without_vary(self) -> "Refusal":
        """Refused before the API, or after it had answered: such an answer does not say what it varies by."""
        self.headers.pop("Vary", None)
        return self


def conflict(body: str) -> Refusal:
    """409 in plain text: the machine's state does not allow it."""
    return Refusal(409, body)


def invalid(field: str, *messages: str) -> Refusal:
    """400 with the messages of one field, as a form answers; ``__all__`` is the whole form."""
    return refused_form({field: list(messages)})


def refused_form(errors: Mapping[str, Sequence[str]]) -> Refusal:
    """400 with the messages of all fields that are wrong."""
    return Refusal(400, json.dumps(errors), JSON_TYPE)


def forbidden() -> Refusal:
    """403, always with an empty body: not yours, locked, or for admins only."""
    return Refusal(403)


def not_found(kind: str) -> Refusal:
    """404 for an object; unknown paths are answered by ``no_such_endpoint``."""
    return Refusal(404, f"No {kind} matches the given query.", PLAIN)


def no_such_endpoint(path: str) -> Refusal:
    """404 for a path, also for one that lacks its trailing slash."""
    return Refusal(404, f"Unknown API endpoint: {path}.").without_vary()


def unrecognised(method: str, op: str | None) -> Refusal:
    """400 for an operation that does not exist for this method, or not without credentials."""
    return Refusal(400, f"Unrecognised signature: method={method} op={op}")


def not_simulated(what: str) -> Refusal:
    """501: MAAS can do this, the simulator cannot; it never makes up a success."""
    return Refusal(501, f"The simulator does not do this: {what}.")


def rack_down(system_id: str) -> Refusal:
    """503 with ``Retry-After``: the rack controller that could reach the machine is not connected."""
    return Refusal(503, RACK_DOWN.format(system_id), TEXT, {"Retry-After": "10"})
