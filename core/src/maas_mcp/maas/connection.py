"""The connection to a region: a client with the HTTP transport, which is imported on first use."""

import logging
from collections.abc import Sequence

from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.observer import ObserveExchange
from maas_mcp.maas.request_slots import RequestSlots

logger = logging.getLogger(__name__)


def connect(
    region: RegionAccess, slots: RequestSlots | None = None, observers: Sequence[ObserveExchange] = ()
) -> MaasClient:
    """Create a client of the region, without sending a request.

    Args:
        region: Address, key and CA bundle.
        slots: The region's request slots, if several clients share them.
        observers: Observe each HTTP request.

    Raises:
        SettingsError: The CA bundle or the proxy cannot be used.
    """
    from maas_mcp.maas.exchange import HttpTransport  # noqa: PLC0415 - takes a third of a second, so imported when first needed

    transport = HttpTransport(region, slots=slots, observers=observers)
    for warning in transport.proxy.warnings if transport.proxy else ():
        logger.warning(warning)
    return MaasClient(transport)
