"""The resources that machines refer to by name: zones and resource pools."""

from collections.abc import Callable
from typing import Final

from maas_simulator.http.calls import Call
from maas_simulator.http.render import pool_json, zone_json
from maas_simulator.http.resources import Resource, by_name, check_admin, check_superuser
from maas_simulator.model.fields import Field, RecordForm, find, text
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import Refusal

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
    form=RecordForm("Physical zone", (Field("name", NAME, required=True, unique=True), Field("description", text()))),
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
    form=RecordForm("Resource pool", (Field("name", NAME, required=True, unique=True), Field("description", text()))),
    find=lambda _call, table, name: find(table, name),
    order=lambda pool: pool["name"],
    after_update=rename_in_machines("pool"),
    before_delete=_check_pool_deletion,
    may_create=check_superuser,
)
