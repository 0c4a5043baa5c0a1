"""Collections that are empty in every region: nothing can be added to them here."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from maas_simulator.http.calls import Answer, Call, Endpoint, Handlers
from maas_simulator.http.resources import check_admin
from maas_simulator.model.fields import NO_CHOICE, REQUIRED
from maas_simulator.model.forms import last
from maas_simulator.model.refusals import invalid, not_found, not_simulated

_WHOLE: Final = ("GET", "PUT", "DELETE")
_VM_HOST: Final = (
    *(("GET", "parameters"), ("POST", "refresh"), ("POST", "compose"), ("POST", "add_tag"), ("POST", "remove_tag")),
)


def none(call: Call) -> Answer:
    """A collection that is empty in this region."""
    del call
    return Answer([])


def vm_hosts(call: Call) -> Answer:
    """The VM hosts: none, as long as no machine was deployed as one."""
    if any(machine.is_vm_host for machine in call.region.machines.values()):
        raise not_simulated("listing VM hosts")
    return Answer([])


def create_vm_host(call: Call) -> Answer:
    """Add a VM host, for superusers. Only the check of the parameters is simulated."""
    check_admin(call)
    kind = last(call.form, "type")
    if kind not in ("lxd", "virsh"):
        raise invalid("type", NO_CHOICE if kind else REQUIRED)
    if not last(call.form, "power_address"):
        raise invalid("power_address", REQUIRED)
    raise not_simulated("connecting to a VM host")


def _missing(kind: str, call: Call) -> Answer:
    """One object of the collection: there is none."""
    del call
    raise not_found(kind)


def _empty(
    name: str,
    kind: str,
    path: str,
    methods: tuple[str, ...],
    more: Handlers,
    *ops: tuple[str, str],
) -> Iterator[Endpoint]:
    missing = partial(_missing, kind)
    yield Endpoint(f"{name}s", path.partition("{")[0], {("GET", None): none, **more})
    yield Endpoint(name, path, {**{(method, None): missing for method in methods}, **dict.fromkeys(ops, missing)})


_VM_HOSTS: Final[Handlers] = {("GET", None): vm_hosts, ("POST", None): create_vm_host}
_UNKNOWN: Final[Handlers] = {
    ("GET", name): none for name in ("by_unknown_ip", "by_unknown_ip_and_mac", "by_unknown_mac")
}

EMPTY: Final = (
    *_empty("Discovery", "Discovery", "discovery/{discovery_id}/", ("GET",), _UNKNOWN),
    *_empty("File", "FileStorage", "files/{filename}/", ("GET", "DELETE"), {}),
    *_empty("VmHost", "Pod", "vm-hosts/{id}/", _WHOLE, _VM_HOSTS, *_VM_HOST),
    *_empty("Pod", "Pod", "pods/{id}/", _WHOLE, _VM_HOSTS, *_VM_HOST),
    *_empty("VmCluster", "VMCluster", "vm-clusters/{id}/", _WHOLE, {}, ("POST", "refresh")),
)
