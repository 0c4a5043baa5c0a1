"""Converts the unexpected exceptions of plugins."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from maas_mcp.errors import MaasMcpError
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.tool import plugin_error

logger = logging.getLogger(__name__)


@contextmanager
def plugin_errors(name: str) -> Iterator[None]:
    """Convert a plugin's unexpected exceptions, so that they do not end other calls.

    Args:
        name: The name of the tool.

    Raises:
        PluginError: The plugin raised something other than a cancellation or a ``MaasMcpError``.
    """
    try:
        yield
    except BaseException as error:
        if is_cancellation(error) or isinstance(error, MaasMcpError):
            raise
        logger.exception("%s failed", name)
        raise plugin_error(name, error) from error
