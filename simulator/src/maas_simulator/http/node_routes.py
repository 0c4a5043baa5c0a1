"""Handlers for nodes of any kind."""

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.machine_routes import find_machines
from maas_simulator.http.render import machine_json
from maas_simulator.model.forms import last
from maas_simulator.model.refusals import Refusal, not_simulated


def list_nodes(call: Call) -> Answer:
    """All nodes that the user may see and that match the filters."""
    found = [machine_json(call.region, machine) for machine in find_machines(call)]
    for rack in call.region.racks.values():
        facts = {"id": rack.system_id, "hostname": rack.hostname, "domain": "maas", "zone": "default"}
        if all(name in facts and facts[name] in values for name, values in call.query.items() if name != "op"):
            raise not_simulated("listing controllers")
    return Answer(found)


def is_registered(call: Call) -> Answer:
    """Whether a node has a network interface with this MAC address."""
    if "mac_address" not in call.query:
        raise Refusal(400, "No provided mac_address!")
    address = last(call.query, "mac_address")
    return Answer(any(address in machine.mac_addresses for machine in call.region.machines.values()))
