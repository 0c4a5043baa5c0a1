"""Opening a region: the client with the real transport, which is imported only then."""

import logging

from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.request_slots import RequestSlots

logger = logging.getLogger(__name__)


def connect(region: RegionAccess, slots: RequestSlots | None = None) -> MaasClient:
    """A client of the region; nothing is sent yet.

    Args:
        region: Address, key and CA bundle.
        slots: Those of the region, where several clients share them.

    Raises:
        SettingsError: The CA bundle or the proxy cannot be used.
    """
    from maas_mcp.maas.exchange import HttpTransport  # noqa: PLC0415 - a third of a second, paid when first needed

    transport = HttpTransport(region, slots=slots)
    for warning in transport.proxy.warnings if transport.proxy else ():
        logger.warning(warning)
    return MaasClient(transport)
