"""Collections that are empty in every region: nothing can be added to them here."""

from collections.abc import Iterator
from typing import Final

from maas_simulator.http.calls import Answer, Call, Endpoint, Handler, route
from maas_simulator.http.resources import check_admin
from maas_simulator.model.fields import NO_CHOICE, REQUIRED
from maas_simulator.model.forms import last
from maas_simulator.model.refusals import invalid, not_found, not_simulated


def none(_call: Call) -> Answer:
    """A collection that is empty in this region."""
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


def _empty(name: str, kind: str, path: str, keys: str, **more: Handler) -> Iterator[Endpoint]:
    def missing(_call: Call) -> Answer:
        """One object of the collection: there is none."""
        raise not_found(kind)

    yield route(f"{name}s", path.partition("{")[0], **{"GET": none, **more})
    yield route(name, path, **dict.fromkeys(keys.split(), missing))


_VM_HOST: Final = "GET PUT DELETE GET_parameters POST_refresh POST_compose POST_add_tag POST_remove_tag"
_UNKNOWN: Final = dict.fromkeys(("GET_by_unknown_ip", "GET_by_unknown_ip_and_mac", "GET_by_unknown_mac"), none)
EMPTY: Final = (
    *_empty("Discovery", "Discovery", "discovery/{discovery_id}/", "GET", **_UNKNOWN),
    *_empty("File", "FileStorage", "files/{filename}/", "GET DELETE"),
    *_empty("VmHost", "Pod", "vm-hosts/{id}/", _VM_HOST, GET=vm_hosts, POST=create_vm_host),
    *_empty("Pod", "Pod", "pods/{id}/", _VM_HOST, GET=vm_hosts, POST=create_vm_host),
    *_empty("VmCluster", "VMCluster", "vm-clusters/{id}/", "GET PUT DELETE POST_refresh"),
)
