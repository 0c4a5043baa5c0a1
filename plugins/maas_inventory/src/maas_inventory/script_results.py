"""The tool that shows the results of a machine's scripts, with the end of their output: why the machine failed."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from maas_inventory.arguments import Limit, Text
from maas_mcp.api import MachineOutput, MachineText, SystemId, Tool, ToolContext, quoted, quoted_block

RunKind = Literal["commissioning", "testing", "installation", "release"]

MAX_TAIL: Final = 4_000
"""Bytes of one script's output in a result."""

Lines = Annotated[int, Field(ge=0, le=200), WithJsonSchema({"type": "integer"})]
Bytes = Annotated[int, Field(ge=0, le=MAX_TAIL), WithJsonSchema({"type": "integer"})]


class ResultFilter(BaseModel, defer_build=True):
    """The results to show."""

    machine: Text = Field(description="System id, hostname or FQDN.")
    kind: RunKind | None = Field(default=None, description="Default: the latest run of each kind.")
    failed: bool = Field(default=False, description="Only failed scripts.")
    script: Text | None = Field(default=None, description="A glob.")
    tail_lines: Lines = Field(default=0, description="Last lines of each output.")
    tail_bytes: Bytes = Field(default=0, description="Or its last bytes.")
    limit: Limit = 50
    cursor: str | None = Field(default=None, description="`next_cursor` of a page.")

    @property
    def wants_output(self) -> bool:
        """Whether the output is requested."""
        return bool(self.tail_lines or self.tail_bytes)


class RunRow(BaseModel, defer_build=True):
    """A machine's latest run of one kind."""

    kind: str
    id: int
    status: str
    passed: int
    failed: int
    other: int


class ScriptRow(BaseModel, defer_build=True):
    """The result of one script."""

    kind: str
    script: MachineText
    device: MachineText | None
    status: str
    exit_status: int | None
    started: str | None
    runtime: str | None
    output: MachineOutput | None = None


class ResultPage(BaseModel, defer_build=True):
    """A page of results, and the state of the machine."""

    system_id: SystemId
    hostname: MachineText
    status_name: str
    error_description: MachineText | None = Field(description="Reason of the last failure. It may be old.")
    runs: list[RunRow]
    scripts: list[ScriptRow]
    total: int = Field(description="Matching scripts on all pages.")
    next_cursor: str | None = None
    unreadable: list[str] = Field(default=[], description="Parts of MAAS's JSON that are unreadable.")


class GetScriptResults(Tool[ResultFilter, ResultPage]):
    """Get (show, read) why a machine failed, or which test did: results and output (logs) of its scripts.

    For commissioning, testing (disk, memory, CPU), installation (deployment) and release.
    """

    name = "maas_get_script_results"
    toolset = "inventory"
    list_position = 27
    title = "Get script results"
    read_only = True

    async def run(self, ctx: ToolContext, args: ResultFilter) -> ResultPage:
        """Send one request for each kind, and a second one for output; for the machine usually none."""
        from maas_inventory.script_runs import read_results  # noqa: PLC0415 - only a call needs it

        return await read_results(ctx, args)

    def summary(self, result: ResultPage) -> str:
        """One line for each run, one for each script with its output, and one for each problem."""
        head = f"{quoted(result.hostname)} ({result.system_id}) is {quoted(result.status_name)}."
        runs = [
            f"{each.kind} {each.id}: {quoted(each.status)}; "
            f"{each.passed} passed, {each.failed} failed, {each.other} other"
            for each in result.runs
        ]
        reason = [f"Last error: {quoted(result.error_description)}"] if result.error_description else []
        more = [f"The next page has the cursor {result.next_cursor}"] if result.next_cursor else []
        scripts = [line for each in result.scripts for line in _lines(each)]
        count = f"{len(result.scripts)} of {result.total} scripts"
        return "\n".join([head, *reason, *(runs or ["It has no results."]), count, *scripts, *result.unreadable, *more])


def _lines(row: ScriptRow) -> Iterable[str]:
    device = f" on {quoted(row.device)}" if row.device else ""
    exit_status = "" if row.exit_status is None else f", exit status {row.exit_status}"
    line = f"{row.kind} {quoted(row.script)}{device}: {quoted(row.status)}{exit_status}"
    yield quoted_block(line, row.output) if row.output else line
