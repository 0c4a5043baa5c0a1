"""The access of a caller: the site's policy, the principal's scopes and the request's own selection together."""

from types import MappingProxyType

from maas_mcp.calls.call import ToolCall
from maas_mcp.calls.principal import Scope
from maas_mcp.operations.declaring.access import Access


def access_of(call: ToolCall) -> Access:
    """Return the access of a call's principal."""
    policy, served = call.host.policy, call.served
    protect = policy.rules.protect
    protected = {name: getattr(protect, name) for name in ("tags", "pools", "zones", "hostnames")}

    def response(scope: Scope, own: str) -> str:
        return own if call.principal.may(scope) and not served.request.read_only else "refuse"

    return Access(
        mode=policy.mode_name,
        operate=response(Scope.OPERATE, policy.mode.operate),
        destroy=response(Scope.DESTROY, policy.mode.destroy),
        protected=MappingProxyType({name: names for name, names in protected.items() if names}),
        tools=tuple(served.tools),
        left_out=MappingProxyType({name: finding.reason for name, finding in served.refused.items()}),
    )
