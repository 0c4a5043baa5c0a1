"""``maas-mcp serve`` that waits less for a request that never arrived: tests on the virtual clock wait for it all."""

from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.stdio import serve
from maas_mcp.server.wire import take_wire
from maas_mcp.settings import Settings

HASTE = Timing(start_grace=2.0, outage_pause=1.0, allocation_uncertain=2.0)

if __name__ == "__main__":
    wire = take_wire()
    serve(load_registry(), Settings.load(), wire, HASTE)
