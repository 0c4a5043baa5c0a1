"""The handlers of requests: announced from the start, and imported by their first request."""

import pytest

from maas_mcp.calls.connections import Connections
from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.app import build
from maas_mcp.server.handlers import MODULES, LazyServer
from maas_mcp.settings import Settings

MODERN = "2026-07-28"


@pytest.fixture
def server() -> LazyServer:
    built = build(load_registry(), Settings(), Connections())
    assert isinstance(built, LazyServer)
    return built


@pytest.mark.parametrize("method", MODULES)
def test_the_first_request_gets_the_handler_of_its_module(server: LazyServer, method: str) -> None:
    entry = server.get_request_handler(method)
    assert entry is not None
    assert entry.handler.__module__ == MODULES[method]
    assert server.get_request_handler(method) is entry


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
def test_the_capabilities_do_not_depend_on_earlier_requests(server: LazyServer, revision: str) -> None:
    first = server.get_capabilities(protocol_version=revision)
    assert first.prompts
    assert first.resources
    assert first.tools
    assert first.logging
    assert first.completions
    assert set(first.extensions or {}) == {"io.modelcontextprotocol/skills", "io.modelcontextprotocol/tasks"}
    for method in MODULES:
        server.get_request_handler(method)
    assert server.get_capabilities(protocol_version=revision) == first


def test_an_unknown_method_has_no_handler(server: LazyServer) -> None:
    assert server.get_request_handler("tools/forget") is None
