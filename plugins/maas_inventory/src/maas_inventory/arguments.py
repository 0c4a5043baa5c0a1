"""Types of arguments that several tools share. Their bounds are not published: each tool would repeat them."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

Limit = Annotated[int, Field(ge=1, le=200), WithJsonSchema({"type": "integer"})]
"""The maximum number of rows on a page. The size of the page limits it anyway."""
Text = Annotated[str, Field(min_length=1, max_length=256), WithJsonSchema({"type": "string"})]
"""A name or another text to search for. MAAS's names are no longer, and its filters have to fit into a URL."""
