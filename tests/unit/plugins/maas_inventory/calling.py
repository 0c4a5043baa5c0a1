"""Calls tools on the test bench of the informer."""

from typing import Any

from maas_mcp.api import CancellationToken, ProgressReporter, Tool, ToolContext
from maas_mcp.operations.cursors import Cursors
from maas_mcp.operations.declaring.plugin_services import PluginServices
from maas_mcp.operations.progress import Progress
from maas_mcp.operations.signing import Signer
from tests.inventory import Bench


async def _discard(_progress: Progress) -> None: ...


def context(bench: Bench) -> ToolContext[Any, Any]:
    """The services of a call, with the bench's informer as the plugin's state."""
    return ToolContext(
        bench.maas,
        ProgressReporter(_discard),
        CancellationToken(),
        plugin=PluginServices(state=bench.informer),
        cursors=Cursors(lambda: Signer([b"signs cursors of tests"], "test")),
    )


async def call(tool: type[Tool[Any, Any]], bench: Bench, /, **arguments: Any) -> Any:
    """Call a tool, and check that its summary and its result can be shown."""
    result = await tool().run(context(bench), tool.arguments.model_validate(arguments))
    assert tool().summary(result)
    assert type(result).model_validate_json(result.model_dump_json()) == result
    return result
