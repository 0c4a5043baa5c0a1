"""Reads the headers by which an HTTP request narrows the tools that it can use."""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers

from maas_mcp.policy.selection import (
    READ_ONLY_HEADER,
    TOOLS_HEADER,
    TOOLSETS_HEADER,
    RequestSelection,
    check_patterns,
)
from maas_mcp.server.http.refusals import Refusal
from maas_mcp.setting_values import split_list

NARROWING_HEADERS: Final = (TOOLSETS_HEADER, TOOLS_HEADER, READ_ONLY_HEADER)
PREFIX: Final = "X-MAAS-MCP-"
"""The prefix of these headers, and of no other header that the server reads."""
MAX_SHOWN: Final = 40
"""Characters of an unknown name that a refusal shows."""


def read_selection(headers: Headers, toolsets: Collection[str]) -> RequestSelection:
    """Return the selection of a request. A request without the headers narrows nothing.

    Args:
        headers: The request's headers.
        toolsets: The names of all toolsets, including those that the site does not serve.

    Raises:
        Refusal: 400 if a header is empty, invalid or unknown. Ignoring it would serve more than the client asked for.
    """
    _check_names(headers)
    return RequestSelection(
        toolsets=frozenset(_read_toolsets(headers, toolsets)),
        tools=_read_patterns(headers),
        read_only=_read_flag(headers),
    )


def _check_names(headers: Headers) -> None:
    known = {each.lower() for each in NARROWING_HEADERS}
    if unknown := sorted(each for each in headers if each.startswith(PREFIX.lower()) and each not in known):
        raise Refusal(
            400,
            f"The header {unknown[0][:MAX_SHOWN]} does not exist.",
            f"The headers {PREFIX}… are: {', '.join(NARROWING_HEADERS)}.",
        )


def _read_toolsets(headers: Headers, toolsets: Collection[str]) -> tuple[str, ...]:
    names = _read_list(headers, TOOLSETS_HEADER, "toolsets")
    if unknown := sorted(set(names) - set(toolsets)):
        raise Refusal(
            400,
            f"The header {TOOLSETS_HEADER} names the toolset {unknown[0][:MAX_SHOWN]!r}, which does not exist.",
            f"The toolsets are: {', '.join(sorted(toolsets))}.",
        )
    return names


def _read_patterns(headers: Headers) -> tuple[str, ...]:
    try:
        return tuple(sorted(set(check_patterns(_read_list(headers, TOOLS_HEADER, "tools")))))
    except ValueError as error:
        problem = str(error)
    raise Refusal(
        400, f"The header {TOOLS_HEADER} is invalid: {problem}.", "Correct it, or leave it out for all tools."
    )


def _read_list(headers: Headers, name: str, items: str) -> tuple[str, ...]:
    text = headers.get(name)
    if text is None:
        return ()
    names = split_list(text)
    if not names:
        raise Refusal(400, f"The header {name} names no {items}.", f"Name some, or leave it out for all {items}.")
    return names


def _read_flag(headers: Headers) -> bool:
    text = headers.get(READ_ONLY_HEADER, "false").strip().lower()
    if text not in {"true", "false"}:
        raise Refusal(400, f"The header {READ_ONLY_HEADER} is neither true nor false.", "Send true, or leave it out.")
    return text == "true"
