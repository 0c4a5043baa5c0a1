"""The tool that searches machines and all other objects at once."""

from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, Field

from maas_inventory.objects.kind_names import MACHINE
from maas_mcp.api import CarriesMachineText, MachineText, Tool, ToolContext, fit_page, quoted

if TYPE_CHECKING:
    from maas_inventory.search.searching import Finding

LIST_OBJECTS: Final = "maas_list_objects"
GET_MACHINE: Final = "maas_get_machine"
HITS: Final = 3
"""Hits of each kind."""
MANY: Final = "For all of these machines, list the machines with a filter, such as `hostname` or `tags`."
NOTHING: Final = "Nothing matches. For machines by other facts, list the machines with a filter."


class SearchText(BaseModel, defer_build=True):
    """The text to search for."""

    text: str = Field(min_length=1, max_length=200, description="A name or part of it, words, IP, MAC or CIDR.")


class Hit(BaseModel, defer_build=True):
    """An object that matches."""

    id: str | int
    name: MachineText
    match: MachineText = Field(description="The field that matches, with its value.")


class Hits(BaseModel, defer_build=True):
    """The objects of one kind that match."""

    kind: str
    hits: list[Hit] = Field(description="Best first.")
    total: int
    tool: str = Field(description="The tool that shows the best hit, with these arguments.")
    arguments: Annotated[dict[str, Any], CarriesMachineText()]


class Found(BaseModel, defer_build=True):
    """All objects that match, the kind with the best hit first."""

    kinds: list[Hits]
    unsearched: list[str] = Field(default=[], description="Kinds that could not be read.")
    hint: str | None = None


class Find(Tool[SearchText, Found]):
    """Find (search, look up, identify) everything with a name, MAC address, CIDR or IP address like 10.0.3.7.

    Searches machines, subnets, VLANs, fabrics, spaces, images, tags, zones, pools, DNS, VM hosts, devices, users: who
    owns or uses an address?
    """

    name = "maas_find"
    toolset = "inventory"
    list_position = 24
    title = "Find anything"
    read_only = True

    async def run(self, ctx: ToolContext, args: SearchText) -> Found:
        """Send one request for each list that can have the text; for machines usually none, because they are known."""
        from maas_inventory.search.query import Query  # noqa: PLC0415 - as the search, only a call needs it
        from maas_inventory.search.searching import Search  # noqa: PLC0415 - imports the models of all kinds

        query = Query(args.text.strip())
        search = Search(ctx, query)
        await search.run()
        kinds = [_hits(kind, findings) for kind, findings in search.found.items() if findings]
        best = {kind: max(each.match.score for each in found) for kind, found in search.found.items() if found}
        kinds = fit_page(sorted(kinds, key=lambda each: (-best[each.kind], each.kind)), len(kinds))
        many = any(each.kind == MACHINE and _has_more(each) for each in kinds)
        hint = MANY if many else None if kinds else NOTHING
        return Found(kinds=kinds, unsearched=search.unsearched, hint=hint)

    def summary(self, result: Found) -> str:
        """One line for each hit."""
        lines = [
            f"{each.kind} {quoted(hit.name)} ({quoted(str(hit.id))}): {quoted(hit.match)}"
            for each in result.kinds
            for hit in each.hits
        ]
        more = [f"{each.kind}: {each.total - len(each.hits):,} more" for each in result.kinds if _has_more(each)]
        failed = [f"Not searched: {each}" for each in result.unsearched]
        return "\n".join([*lines, *more, *failed, *([result.hint] if result.hint else [])])


def _has_more(hits: Hits) -> bool:
    return hits.total > len(hits.hits)


def _hits(kind: str, findings: "list[Finding]") -> Hits:
    unique = {finding.key: finding for finding in sorted(findings, key=lambda each: each.match.score)}
    ranked = sorted(unique.values(), key=lambda each: (-each.match.score, each.name))
    tool, arguments = _next(kind, ranked[0])
    hits = [Hit(id=each.key, name=each.name, match=each.why) for each in ranked[:HITS]]
    return Hits(kind=kind, hits=hits, total=len(ranked), tool=tool, arguments=arguments)


def _next(kind: str, best: "Finding") -> tuple[str, dict[str, Any]]:
    if kind == MACHINE:
        return GET_MACHINE, {"system_id": best.key}
    return LIST_OBJECTS, {"kind": kind, "name": str(best.key), "details": True}
