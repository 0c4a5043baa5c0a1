"""Converts parts of results and prompts to MCP's content blocks."""

import base64

import mcp_types as types

from maas_mcp.machine_text import make_visible
from maas_mcp.operations.declaring.content import Audio, File, Image, Part


def content_block(part: Part) -> types.ContentBlock:
    """The content block of a part."""
    match part:
        case Image(data, mime_type):
            return types.ImageContent(data=_base64(data), mime_type=mime_type)
        case Audio(data, mime_type):
            return types.AudioContent(data=_base64(data), mime_type=mime_type)
        case File(uri, str() as text, mime_type):
            contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=make_visible(text))
            return types.EmbeddedResource(resource=contents)
        case File(uri, bytes() as data, mime_type):
            return types.EmbeddedResource(
                resource=types.BlobResourceContents(uri=uri, mime_type=mime_type, blob=_base64(data))
            )
        case _:
            return types.TextContent(text=make_visible(str(part)))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
