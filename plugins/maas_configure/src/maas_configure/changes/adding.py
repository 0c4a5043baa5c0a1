"""The request that adds a machine, and the check whether MAAS has it already."""

from dataclasses import dataclass, field

from maas_configure.adding import AddedMachine, AddMachineArguments
from maas_configure.choices import explained_refusal
from maas_configure.interfaces import NetworkedMachine
from maas_configure.machines import label
from maas_mcp.api import MaasClient, OperationRefusedError, SingleChange, ToolContext, change_once


async def add_machine(ctx: ToolContext, args: AddMachineArguments) -> AddedMachine:
    """Add the machine, unless one has its MAC addresses."""
    change = _Add(args)
    found = await change.read(ctx.maas)
    if found and not change.is_done(found):
        names = ", ".join(map(label, found))
        raise OperationRefusedError(
            f"MAAS has another machine with one of these MAC addresses: {names}. Nothing was sent to MAAS.",
            hint="Check the MAC addresses and the hostname, or edit that machine.",
        )
    async with explained_refusal(ctx.maas, args.power_type):
        changed = await change_once(ctx, found, change)
    problem = changed.error and (changed.error.maas_says or changed.error.message)
    (machine,) = changed.state
    return AddedMachine.of(machine, sent=changed.sent, problem=problem)


@dataclass(frozen=True)
class _Add(SingleChange[list[NetworkedMachine]]):
    args: AddMachineArguments = field(repr=False)
    op = "POST machines/"

    async def read(self, maas: MaasClient) -> list[NetworkedMachine]:
        """The machines with one of the MAC addresses."""
        response = await maas.get("machines/", mac_address=self.args.mac_addresses)
        return NetworkedMachine.list_from_response(response)

    async def send(self, maas: MaasClient) -> None:
        args = self.args
        own = args.model_dump(exclude={"power_type", "power_parameters"}, exclude_none=True)
        await maas.post("machines/", **own, **args.power_form())

    def is_done(self, state: list[NetworkedMachine]) -> bool:
        """Whether one machine has all of the MAC addresses, and the hostname if one is wanted."""
        if len(state) != 1:
            return False
        known = {(each.mac_address or "").lower() for each in state[0].interface_set}
        return known.issuperset(self.args.mac_addresses) and (
            self.args.hostname is None or self.args.hostname.lower() == state[0].hostname.lower()
        )

    def target(self) -> str:
        return f"the machine with {self.args.mac_addresses[0]}"

    def shown(self, state: list[NetworkedMachine]) -> str:
        return "another one" if state else "unknown to MAAS"
