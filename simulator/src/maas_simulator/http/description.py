"""The region's description of its own API, from which clients such as python-libmaas build themselves."""

from collections.abc import Iterator

from maas_simulator.http.endpoints import ENDPOINTS, PREFIX, Endpoint
from maas_simulator.http.machine_routes import Handler, Operation
from maas_simulator.http.unsimulated import Missing

_CRUD = {"GET": "read", "POST": "create", "PUT": "update", "DELETE": "delete"}
"""What a request without an op is called."""


def describe(base: str) -> dict[str, object]:
    """Every endpoint that is simulated, with its actions; ``base`` is the region's address, ``http://HOST:PORT``.

    ``anon`` is what can be asked without credentials, ``auth`` what can be asked with them; either may be null. What
    the simulator answers with a 501 is left out, so that a client does not offer it.
    """
    return {"doc": "The API of a simulated MAAS region.", "resources": list(_resources(base))}


def _resources(base: str) -> Iterator[dict[str, object]]:
    for endpoint in ENDPOINTS:
        actions = [_action(*key, handler) for key, handler in endpoint.handlers.items() if _simulated(handler)]
        if actions:
            handler = {
                "name": f"{endpoint.name}Handler",
                "doc": f"{endpoint.name} of the region.",
                "uri": f"{base}{PREFIX}{endpoint.path}",
                "path": f"{PREFIX}{endpoint.path}",
                "params": list(endpoint.params),
                "actions": actions,
            }
            yield {"name": handler["name"], "anon": handler if _open(endpoint) else None, "auth": handler}


def _simulated(handler: Handler) -> bool:
    return not isinstance(handler, Missing)


def _open(endpoint: Endpoint) -> bool:
    """Only the version is told to everybody."""
    return endpoint.name == "Version"


def _action(method: str, op: str | None, handler: Handler) -> dict[str, object]:
    does = handler.act if isinstance(handler, Operation) else handler
    return {"name": op or _CRUD[method], "method": method, "op": op, "restful": op is None, "doc": does.__doc__}
