"""``maas-mcp serve`` with short timeouts for requests that never arrive."""

from maas_mcp.operations.timing import Timing
from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.stdio import serve
from maas_mcp.server.wire import take_wire
from maas_mcp.settings import Settings

SHORT_TIMING = Timing(start_grace=2.0, outage_pause=1.0, allocation_uncertain=2.0, settling=1.0, between_reads=0.2)

if __name__ == "__main__":
    wire = take_wire()
    serve(load_registry(), Settings.load(), wire, SHORT_TIMING)
