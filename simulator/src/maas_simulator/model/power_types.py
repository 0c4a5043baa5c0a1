"""The power types of MAAS 3.7 with their parameters."""

from collections.abc import Mapping
from typing import Final

from maas_simulator.model.machines import MANUAL, SimulatedMachine
from maas_simulator.model.scripts import JSON

POWER_TYPES: Final[Mapping[str, str]] = {
    "amt": "power_address* power_pass",
    "apc": "power_address* node_outlet* pdu_type power_on_delay",
    "dli": "power_address* outlet_id* power_user power_pass",
    "eaton": "power_address* node_outlet* power_on_delay",
    "hmc": "power_address* power_user* power_pass* server_name* lpar*",
    "hmcz": "power_address* power_user* power_pass* power_partition_name*",
    "ipmi": (
        "power_address* power_user power_pass power_driver power_boot_type power_off_mode k_g cipher_suite_id "
        "privilege_level workaround_flags mac_address"
    ),
    "lxd": "power_address* instance_name* project* certificate key password",
    "manual": "",
    "moonshot": "power_address* power_user* power_pass* power_hwaddress*",
    "mscm": "power_address* power_user* power_pass* node_id*",
    "msftocs": "power_address* power_port* power_user* power_pass* blade_id*",
    "nova": "nova_id* os_tenantname* os_username* os_password* os_authurl*",
    "openbmc": "power_address* power_user* power_pass*",
    "proxmox": (
        "power_address* power_user* power_pass power_token_name power_token_secret power_vm_name* power_verify_ssl"
    ),
    "raritan": "power_address* power_user* power_pass* node_outlet*",
    "recs_box": "power_address* node_id* power_port power_user power_pass",
    "redfish": "power_address* power_user* power_pass* node_id",
    "ucsm": "power_address* uuid* power_user power_pass",
    "virsh": "power_address* power_pass power_id*",
    "vmware": "power_vm_name power_uuid power_address* power_user* power_pass* power_port power_protocol",
    "webhook": (
        "power_on_uri* power_off_uri* power_on_regex power_off_regex power_query_uri* power_user power_pass "
        "power_token power_verify_ssl"
    ),
    "wedge": "power_address* power_user* power_pass*",
}
"""The parameters by type; an asterisk marks the required ones."""

_DEFAULTS: Final[Mapping[str, object]] = {
    "cipher_suite_id": "3",
    "power_boot_type": "auto",
    "power_driver": "LAN_2_0",
    "power_off_mode": "hard",
    "power_off_regex": r"status.*\:.*stopped",
    "power_on_delay": "5",
    "power_on_regex": r"status.*\:.*running",
    "power_verify_ssl": "n",
    "privilege_level": "OPERATOR",
    "workaround_flags": ["opensesspriv"],
}


def find_errors(power_type: str, given: Mapping[str, str]) -> list[str]:
    """Return MAAS's messages for the parameters of a power type."""
    known = POWER_TYPES.get(power_type, "").split()
    names = {name.rstrip("*") for name in known}
    if unknown := [name for name in given if name not in names]:
        return [f"Unknown parameter(s): {', '.join(unknown)}."]
    missing = [name.rstrip("*") for name in known if name.endswith("*") and not given.get(name.rstrip("*"))]
    if missing and not any(given.values()):
        return ["This field is required."]
    return [f"{name.capitalize().replace('_', ' ')}: This field is required." for name in missing]


def power_json(machine: SimulatedMachine) -> JSON:
    """The power parameters; fictitious ones unless a request has set them."""
    names = [name.rstrip("*") for name in POWER_TYPES.get(machine.power_type, "").split()]
    if machine.power_parameters is not None:
        return {name: machine.power_parameters.get(name) or _DEFAULTS.get(name, "") for name in names}
    address = f"10.20.0.{10 + machine.number}"
    fictitious = {"power_address": address, "power_user": "maas", "power_pass": "secret"}
    fictitious |= {f"power_{name}_uri": f"http://{address}/{name}" for name in ("on", "off", "query")}
    return (
        {name: fictitious.get(name, _DEFAULTS.get(name, "")) for name in names} if machine.power_type != MANUAL else {}
    )
