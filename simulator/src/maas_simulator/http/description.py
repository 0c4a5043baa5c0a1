"""The region's description of its API, which clients such as python-libmaas read to build themselves."""

from collections.abc import Iterator

from maas_simulator.http.calls import Handler
from maas_simulator.http.endpoints import ENDPOINTS, PREFIX
from maas_simulator.http.machine_routes import Operation
from maas_simulator.http.unsimulated import NotSimulated

_CRUD = {"GET": "read", "POST": "create", "PUT": "update", "DELETE": "delete"}
"""The action names of requests without an op."""


def describe(base: str) -> dict[str, object]:
    """Describe all simulated endpoints and their actions; ``base`` is the region's address, ``http://HOST:PORT``.

    ``anon`` has the actions without credentials, and ``auth`` those with credentials; either may be null. Endpoints
    that return 501 are left out, so that clients do not offer them.
    """
    return {"doc": "The API of a simulated MAAS region.", "resources": list(_resources(base))}


def _resources(base: str) -> Iterator[dict[str, object]]:
    for endpoint in ENDPOINTS:
        actions = [
            _action(*key, handler)
            for key, handler in endpoint.handlers.items()
            if not isinstance(handler, NotSimulated)
        ]
        if actions:
            handler = {
                "name": f"{endpoint.name}Handler",
                "doc": f"{endpoint.name} of the region.",
                "uri": f"{base}{PREFIX}{endpoint.path}",
                "path": f"{PREFIX}{endpoint.path}",
                "params": list(endpoint.params),
                "actions": actions,
            }
            yield {"name": handler["name"], "anon": handler if endpoint.is_open else None, "auth": handler}


def _action(method: str, op: str | None, handler: Handler) -> dict[str, object]:
    function = handler.rule.act if isinstance(handler, Operation) else handler
    return {
        "name": op or _CRUD[method],
        "method": method,
        "op": op,
        "restful": op is None,
        "doc": function.__doc__ or op or method,
    }
