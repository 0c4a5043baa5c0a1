"""Sphinx extension: generated sections of pages, and links to the public names of internal objects."""

import re
from typing import Any, ClassVar, Final

from docs._ext.generated import PARTS, part
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from maas_mcp import api, testing

_ANNOTATED: Final = r"(~?typing\.)?Annotated\["
ALIASES: Final = (
    (re.compile(rf"{_ANNOTATED}str, (?:(?!FromMachine).)*?ascii_only=None\).*?\]"), "~maas_mcp.api.SystemId"),
    (re.compile(rf"{_ANNOTATED}str, ~?[a-z_.]*FromMachine\(limit=20000\)\]"), "~maas_mcp.api.MachineOutput"),
    (re.compile(rf"{_ANNOTATED}str, ~?[a-z_.]*FromMachine\(limit=\w+\)\]"), "~maas_mcp.api.MachineText"),
    (re.compile(rf"{_ANNOTATED}(dict\[.*?\]), ~?[a-z_.]*CarriesMachineText\(\)\]"), r"\2"),
    (re.compile(r"str \| int \| float \| bool \| ~?[a-z.]*Sequence\[str\] \| None"), "~maas_mcp.api.FormValue"),
)
"""Aliases, and the expressions that Python shows for them."""
PUBLIC: Final = (api, testing)
"""The modules from which plugins import, and which are documented."""
SERVICES: Final = (
    api.Access,
    api.CancellationToken,
    api.Cursors,
    api.GoneContext,
    api.LifespanContext,
    api.MaasClient,
    api.OperationContext,
    api.ProgressReporter,
    api.ToolContext,
    testing.Host,
    testing.SimulatedMachine,
)


class Generated(SphinxDirective):
    """Insert a generated section: ``{generated} settings``."""

    required_arguments = 1
    option_spec: ClassVar[OptionSpec] = {}

    def run(self) -> list[nodes.Node]:
        """Return the section's nodes, with targets of the ``envvar`` role for settings."""
        name = self.arguments[0]
        made = self.parse_text_to_nodes(part(name), allow_section_headings=True)
        if name == "settings":
            for node in made:
                self._mark_variables(node)
        return made

    def _mark_variables(self, table: nodes.Node) -> None:
        for row in table.findall(nodes.row):
            cell = next(iter(row.findall(nodes.literal)), None)
            if cell is not None:
                variable = cell.astext()
                row["ids"].append(f"envvar-{variable}")
                self.env.domains.standard_domain.note_object("envvar", variable, row["ids"][-1], location=row)


def resolve_api_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.Node | None:
    """Resolve a reference to a name's definition to its documented public module."""
    if node.get("refdomain") != "py":
        return None
    parts = "".join(node["reftarget"].split()).split(".")  # a long target may be wrapped in its docstring
    objects = env.domains.python_domain.objects
    for start, name in enumerate(parts):
        for module in PUBLIC:
            target = ".".join([module.__name__, *parts[start:]])
            found = objects.get(target) if name in module.__all__ else None
            if found is not None:
                return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, [contnode], target)
    return None


def tidy_signature(
    _app: Sphinx, kind: str, _name: str, documented: Any, *rest: Any
) -> tuple[str | None, str | None] | None:
    """Omit constructors that plugins do not call (of models, enumerations and services), and restore aliases."""
    if kind == "class" and (hasattr(documented, "model_fields") or hasattr(documented, "__members__")):
        return "", None
    _, arguments, returned = rest
    return ("", None) if documented in SERVICES else (_aliased(arguments), _aliased(returned))


def _aliased(signature: str | None) -> str | None:
    for written, name in ALIASES if signature else ():
        signature = written.sub(name, signature or "")
    return signature


def read_sections(_app: Sphinx, kind: str, *rest: Any) -> None:
    """Parse sections such as ``Args:``. napoleon's own hook misreads the first colon of an attribute's docstring."""
    lines = rest[-1]
    if kind not in {"attribute", "property"}:
        lines[:] = GoogleDocstring(lines).lines()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension."""
    for name in PARTS:  # before autodoc, which changes the annotations of pydantic's classes
        part(name)
    app.add_directive("generated", Generated)
    app.add_object_type("mcptool", "mcptool", objname="MCP tool", indextemplate="pair: %s; tool")
    app.connect("missing-reference", resolve_api_name)
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("autodoc-process-docstring", read_sections)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
