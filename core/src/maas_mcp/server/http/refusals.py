"""Refusals of HTTP requests: a status, and a JSON-RPC error that says what was wrong and what to do."""

import json
from collections.abc import Mapping

import mcp_types as types
from starlette.responses import Response


class Refusal(Exception):  # noqa: N818 - it becomes a response
    """Raised to refuse an HTTP request.

    Args:
        status: The HTTP status.
        problem: What was wrong, as a sentence.
        advice: What to do, as a sentence.
        headers: Additional headers of the response.
    """

    def __init__(self, status: int, problem: str, advice: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{problem} {advice}")
        self.status = status
        self.headers = headers

    @property
    def response(self) -> Response:
        """The response. Its JSON-RPC id is ``null``, because the id of the request may be unknown."""
        error = {"code": types.INVALID_REQUEST, "message": str(self)}
        body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
        return Response(body, self.status, self.headers, media_type="application/json")
