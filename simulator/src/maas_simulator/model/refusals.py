"""MAAS's error responses, with the exact status, body and headers."""

import json
from collections.abc import Mapping, Sequence

TEXT = "text/plain; charset=utf-8"
PLAIN = "text/plain"
HTML = "text/html; charset=utf-8"
JSON_TYPE = "application/json; charset=utf-8"

BY_USER = {"Vary": "Authorization, Cookie"}
"""The ``Vary`` header of responses from the API itself. MAAS's middleware varies errors by the cookie only."""
RACK_DOWN = "Unable to connect to any rack controller {}; no connections available."
"""The body of a 503; takes the system id of the disconnected rack controller."""


DATABASE_CONFLICT = """\
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
  <head>
    <title>Error: Conflict Error</title>
  </head>
  <body>
    <h2 class="p-heading--four">
      Conflict error. Try your request again, as it will most likely succeed.
    </h2>
  </body>
</html>
"""


class Refusal(Exception):  # noqa: N818 - a response of MAAS, not an error of the simulator
    """A request that MAAS rejects. Handlers raise it, and the application turns it into a response."""

    def __init__(
        self, status: int, body: str = "", content_type: str = TEXT, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = {**(BY_USER if content_type == PLAIN else {"Vary": "Cookie"}), **(headers or {})}

    def without_vary(self) -> "Refusal":
        """Remove the ``Vary`` header, which MAAS omits when it rejects a request outside the API."""
        self.headers.pop("Vary", None)
        return self

    def after_commit(self) -> "Refusal":
        """Send it as MAAS does when it has stored the change already: by another layer, in chunks."""
        self.headers["Transfer-Encoding"] = "chunked"
        return self.without_vary()


def conflict(body: str) -> Refusal:
    """Build a 409 in plain text: the machine's state does not allow the request."""
    return Refusal(409, body)


def invalid(field: str, *messages: str) -> Refusal:
    """Build a form's 400 with the messages of one field; ``__all__`` is the whole form."""
    return refused_form({field: list(messages)})


def invalid_parameter(name: str, message: str) -> Refusal:
    """Build the 400 for a parameter that MAAS reads without a form."""
    return Refusal(400, f"Invalid {name}: {message}")


def refused_form(errors: Mapping[str, Sequence[str]]) -> Refusal:
    """Build a form's 400 with the messages of all bad fields."""
    return Refusal(400, json.dumps(errors), JSON_TYPE)


def forbidden(message: str = "") -> Refusal:
    """Build a 403. If it is about an object, its body is empty: not the owner, locked, or superusers only."""
    return Refusal(403, message)


def not_found(kind: str) -> Refusal:
    """Build a 404 for an object. For unknown paths see ``no_such_endpoint``."""
    return Refusal(404, f"No {kind} matches the given query.", PLAIN)


def no_such_endpoint(path: str) -> Refusal:
    """Build a 404 for a path, including one that lacks its trailing slash."""
    return Refusal(404, f"Unknown API endpoint: {path}.").without_vary()


def unrecognised(method: str, op: str | None) -> Refusal:
    """Build a 400 for an operation that does not exist for this method, or needs credentials."""
    return Refusal(400, f"Unrecognised signature: method={method} op={op}")


def not_simulated(what: str) -> Refusal:
    """Build a 501 for a feature of MAAS that is not simulated. The simulator never pretends success."""
    return Refusal(501, f"The simulator does not do this: {what}.")


def database_conflict() -> Refusal:
    """Build a 409 in HTML, to be retried: MAAS takes every violated constraint of its database for a conflict."""
    headers = {"Retry-After": "5", "Transfer-Encoding": "chunked"}
    return Refusal(409, DATABASE_CONFLICT, HTML, headers).without_vary()


def rack_down(system_id: str) -> Refusal:
    """Build a 503 with ``Retry-After``: the machine's rack controller is not connected."""
    return Refusal(503, RACK_DOWN.format(system_id), TEXT, {"Retry-After": "10"})
