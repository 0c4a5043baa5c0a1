"""Resources: a text, an image, a template and a resource to subscribe to; and the completion of a prompt's argument."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from maas_mcp.api import Completion, Resource, ToolContext
from maas_mcp_conformance.samples import PNG


class StaticText(Resource):
    """A text."""

    uri = "test://static-text"
    name = "static_text"
    mime_type = "text/plain"

    async def read(self, ctx: ToolContext) -> str:
        """The text."""
        return "This is the content of the static text resource."


class StaticBinary(Resource):
    """An image."""

    uri = "test://static-binary"
    name = "static_binary"
    mime_type = "image/png"

    async def read(self, ctx: ToolContext) -> bytes:
        """The image."""
        return PNG


class TemplateData(BaseModel):
    """The data for an id."""

    id: str
    templateTest: bool
    data: str


class Template(Resource):
    """Data for an id."""

    uri = "test://template/{id}/data"
    name = "template_data"
    mime_type = "application/json"

    async def read(self, ctx: ToolContext, id: str) -> TemplateData:  # noqa: A002 - the suite's own name
        """The data."""
        return TemplateData(id=id, templateTest=True, data=f"Data for ID: {id}")


class Watched(Resource):
    """A resource to subscribe to."""

    uri = "test://watched-resource"
    name = "watched"
    mime_type = "text/plain"

    async def read(self, ctx: ToolContext) -> str:
        """A text."""
        return "This never changes."


class Cities(Completion):
    """Completes an argument of a prompt."""

    arguments: ClassVar[Any] = ("arg1",)

    async def choices(self, ctx: ToolContext) -> Sequence[str]:
        """Three words."""
        return ["paris", "park", "party"]


RESOURCES = (StaticText, StaticBinary, Template, Watched)
