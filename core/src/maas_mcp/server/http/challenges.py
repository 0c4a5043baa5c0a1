"""The challenges of refused requests (RFC 6750, section 3), and the metadata that they refer to (RFC 9728)."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from maas_mcp.access.configuration import OAuthSettings
from maas_mcp.calls.principal import Scope
from maas_mcp.server.http.refusals import Refusal

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
METADATA_AGE: Final = 3600
"""Seconds for which a client may keep the metadata."""


class Challenges:
    """Creates the refusals of requests that lack a token, or whose token lacks something.

    Args:
        oauth: The issuers, which the metadata names; ``None`` without OAuth, and without metadata.
    """

    def __init__(self, oauth: OAuthSettings | None = None) -> None:
        self._metadata = None if oauth is None else metadata_url(oauth.url)

    def no_token(self) -> Refusal:
        """Return the refusal of a request without a token."""
        return self._refusal(
            401, "This server requires a bearer token.", "Send the header Authorization: Bearer TOKEN.", {}
        )

    def invalid_token(self) -> Refusal:
        """Return the refusal of a token that is not accepted. It does not reveal why."""
        return self._refusal(
            401, "The bearer token is not accepted.", "Check it, or ask for a new one.", {"error": "invalid_token"}
        )

    def missing_scope(self, scope: Scope) -> Refusal:
        """Return the refusal of a request whose token lacks a scope."""
        return self._refusal(
            403,
            f"This call requires the scope {scope}, which the caller's token lacks.",
            "Ask the operator of this server for a token with that scope.",
            {"error": "insufficient_scope", "scope": scope},
        )

    def _refusal(self, status: int, problem: str, advice: str, parameters: Mapping[str, str]) -> Refusal:
        if self._metadata is not None:
            # A client requests this scope first, and asks for more when a call needs it.
            parameters = {"scope": Scope.READ, **parameters, "resource_metadata": self._metadata}
        written = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
        return Refusal(status, problem, advice, {"WWW-Authenticate": f"Bearer {written}".strip()})


def metadata_url(url: str) -> str:
    """Return the URL of the metadata of the resource at ``url`` (RFC 9728, section 3.1)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def metadata_routes(oauth: OAuthSettings, path: str) -> list[Route]:
    """Return the routes of the metadata: at the root, below it for ``path``, and for the path of the public URL.

    Args:
        oauth: The issuers and the public URL.
        path: The path at which this server serves MCP. A proxy may serve it at another one.
    """
    document: dict[str, Any] = {
        "resource": oauth.url,
        "authorization_servers": list(oauth.issuers),
        "scopes_supported": [str(scope) for scope in Scope],
        "bearer_methods_supported": ["header"],
        "resource_name": "Canonical MAAS (maas-mcp)",
    }
    # Everyone may read it: a client that runs in a browser needs it before it has a token.
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": f"max-age={METADATA_AGE}"}

    async def metadata(_request: Request) -> JSONResponse:
        return JSONResponse(document, headers=headers)

    paths = {WELL_KNOWN, WELL_KNOWN + path, urlsplit(metadata_url(oauth.url)).path}
    return [Route(each, metadata, methods=["GET"]) for each in sorted(paths)]
