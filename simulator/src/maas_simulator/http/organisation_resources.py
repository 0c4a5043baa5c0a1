"""Zones and resource pools, to which machines refer by name, and tags.

Nodes have tags by request or by a definition: an XPath expression about their hardware.
"""

from collections.abc import Callable, Iterable
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from maas_simulator.http.calls import Answer, Call, keyed
from maas_simulator.http.node_views import controller_json, device_json
from maas_simulator.http.render import machine_json, pool_json, tag_json, zone_json
from maas_simulator.http.resources import Resource, by_name, check_admin, check_superuser
from maas_simulator.model.fields import Cleaning, Field, RecordForm, find, text
from maas_simulator.model.forms import last
from maas_simulator.model.machines import Rack, SimulatedMachine
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import Refusal, not_simulated
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

NAME: Final = text(256, r"\w([ \w-]*\w)?")


def rename_in_machines(field: str) -> Callable[[Call, Record, Record], None]:
    """Change a name in the machines, which store the names of their zone and pool."""

    def rename(call: Call, record: Record, before: Record) -> None:
        for machine in call.region.machines.values():
            if getattr(machine, field) == before["name"]:
                setattr(machine, field, record["name"])

    return rename


def _check_zone_deletion(call: Call, zone: Record) -> None:
    if zone["name"] == "default":
        raise Refusal(400, "This zone is the default zone, it cannot be deleted.")
    rename_in_machines("zone")(call, {"name": "default"}, zone)
    for device in call.region.tables["Device"].where(zone=zone["id"]):
        device["zone"] = call.region.tables["Zone"].get_named("default")["id"]


def _check_pool_deletion(call: Call, pool: Record) -> None:
    if pool["id"] == 0:
        raise Refusal(400, "This is the default pool, it cannot be deleted.")
    if any(machine.pool == pool["name"] for machine in call.region.machines.values()):
        raise Refusal(400, "Pool has machines in it, it cannot be deleted.")


ZONES: Final = Resource(
    "Zone",
    "zones/",
    "zones/{name}/",
    zone_json,
    form=RecordForm("Physical zone", Field("name", NAME, required=True, unique=True), Field("description", text())),
    find=by_name,
    order=lambda zone: zone["name"],
    after_update=rename_in_machines("zone"),
    before_delete=_check_zone_deletion,
    may_call=check_admin,
    deletes_unknown=True,
)
POOLS: Final = Resource(
    "ResourcePool",
    "resourcepools/",
    "resourcepool/{id}/",
    pool_json,
    form=RecordForm("Resource pool", Field("name", NAME, required=True, unique=True), Field("description", text())),
    find=lambda _call, table, name: find(table, name),
    order=lambda pool: pool["name"],
    after_update=rename_in_machines("pool"),
    before_delete=_check_pool_deletion,
    may_create=check_superuser,
)


Node = SimulatedMachine | Rack | Record
"""A machine, a controller or a device."""


def _tags_of(node: Node) -> tuple[str, ...]:
    return tuple(node["tag_names"]) if isinstance(node, dict) else node.tag_names


def _set_tags(node: Node, names: Iterable[str]) -> None:
    if isinstance(node, dict):
        node["tag_names"] = tuple(names)
    else:
        node.tag_names = tuple(names)


def _nodes(region: RegionState) -> dict[str, Node]:
    devices = {device["system_id"]: device for device in region.tables["Device"].values()}
    return {**region.machines, **devices, **region.racks}


def _tagged(*kinds: type) -> Callable[[Call, Record], list[JSON]]:
    """Return the operation that lists the nodes of these kinds with a tag, in full, if the user may see them."""

    def tagged(call: Call, tag: Record) -> list[JSON]:
        """The nodes with a tag, in full."""
        nodes = (node for node in _nodes(call.region).values() if isinstance(node, kinds))
        found = (node for node in nodes if tag["name"] in _tags_of(node))
        return [shown for node in found if (shown := _shown(call, node)) is not None]

    return tagged


def _shown(call: Call, node: Node) -> JSON | None:
    """The node as JSON; None if the user may not see it."""
    if isinstance(node, SimulatedMachine):
        return machine_json(call.region, node) if call.sees(node) else None
    if isinstance(node, Rack):
        return controller_json(call.region, node) if call.user.is_superuser else None
    return device_json(call.region, node)


def update_nodes(call: Call) -> Answer:
    """Add a tag to nodes and remove it from others. The counts include nodes that change nothing."""
    tag, form = TAGS.get(call), call.form
    if not call.user.is_superuser:
        raise Refusal(403, "Must be a superuser or supply a rack_controller.")
    given = last(form, "definition")
    if "definition" in form and given != tag["definition"]:
        raise Refusal(409, f"Definition supplied '{given}' doesn't match current definition '{tag['definition']}'")
    nodes = _nodes(call.region)
    added, removed = (
        [nodes[name] for name in dict.fromkeys(form.get(key, ())) if name in nodes] for key in ("add", "remove")
    )
    for node in added:
        _set_tags(node, dict.fromkeys((*_tags_of(node), tag["name"])))
    _replace(removed, tag["name"])
    return Answer({"added": len(added), "removed": len(removed)})


def _replace(nodes: Iterable[Node], name: str, *new: str) -> None:
    """Give nodes another tag instead of one that they have, or none."""
    for node in nodes:
        _set_tags(node, [each for tag in _tags_of(node) for each in (new if tag == name else (tag,))])


def rebuild(call: Call) -> Answer:
    """Evaluate the definition of a tag again, for superusers."""
    tag = TAGS.get_to_change(call)
    _evaluate(call, tag)
    return Answer({"rebuilding": tag["name"]})


def _evaluate(call: Call, tag: Record) -> None:
    """Give a tag to the machines that its definition matches. A tag without a definition stays as it is."""
    if not tag["definition"]:
        return
    for machine in call.region.machines.values():
        _replace([machine], tag["name"])
        if machine.known and _hardware(machine).find(_relative(tag["definition"])) is not None:
            _set_tags(machine, (*_tags_of(machine), tag["name"]))


def _relative(definition: str) -> str:
    return f".{definition}" if definition.startswith("/") else definition


def _hardware(machine: SimulatedMachine) -> Element:
    """The output of lshw, with what definitions usually ask for."""
    root = Element("list")
    system = SubElement(root, "node", {"id": machine.hostname, "class": "system"})
    core = SubElement(system, "node", {"id": "core", "class": "bus"})
    cpu = SubElement(core, "node", {"id": "cpu", "class": "processor"})
    if machine.architecture.startswith("amd64"):
        SubElement(SubElement(cpu, "capabilities"), "capability", {"id": "vmx"})
    for nic in machine.mac_addresses:
        SubElement(SubElement(core, "node", {"class": "network"}), "serial").text = nic
    for disk in machine.disks:
        SubElement(core, "node", {"id": "disk", "class": "disk"}).text = disk.name
    return root


def _check_definition(cleaning: Cleaning) -> None:
    """Check the XPath expression. Only the expressions of Python's library are simulated."""
    definition = cleaning.values["definition"] or ""
    if any(definition.count(one) != definition.count(other) for one, other in ("[]", "()")):
        cleaning.add_error("definition", "Invalid XPath expression: Invalid expression")
        return
    try:
        Element("list").find(_relative(definition or "node"))
    except (SyntaxError, KeyError) as unknown:
        raise not_simulated(f"the definition {definition!r}") from unknown


def _change(call: Call, tag: Record, before: Record) -> None:
    _replace(_nodes(call.region).values(), before["name"], tag["name"])
    if tag["definition"] != before["definition"]:
        _evaluate(call, tag)


def _remove(call: Call, tag: Record) -> None:
    _replace(_nodes(call.region).values(), tag["name"])


TAGS: Final = Resource(
    "Tag",
    "tags/",
    "tags/{name}/",
    tag_json,
    form=RecordForm(
        "Tag",
        Field("name", text(256, r"[\w.-]+"), required=True, unique=True),
        *(Field(name, text()) for name in ("comment", "definition", "kernel_opts")),
        check=_check_definition,
    ),
    find=by_name,
    may_create=check_superuser,
    after_create=_evaluate,
    after_update=_change,
    before_delete=_remove,
    reads={
        "machines": _tagged(SimulatedMachine),
        "devices": _tagged(dict),
        "nodes": _tagged(SimulatedMachine, dict, Rack),
        **dict.fromkeys(("rack_controllers", "region_controllers"), _tagged(Rack)),
    },
    more_one=keyed(POST_update_nodes=update_nodes, POST_rebuild=rebuild),
)
