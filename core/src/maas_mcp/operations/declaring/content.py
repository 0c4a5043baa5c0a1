"""The parts of results and prompts that models and people see: text, images, audio and files."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Image:
    """An image."""

    data: bytes = field(repr=False)
    mime_type: str
    """Such as ``image/png``."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound recording."""

    data: bytes = field(repr=False)
    mime_type: str
    """Such as ``audio/wav``."""


@dataclass(frozen=True, slots=True)
class File:
    """A file with its content."""

    uri: str
    content: str | bytes = field(repr=False)
    mime_type: str
    """Such as ``text/plain``."""


Part = str | Image | Audio | File
"""One part of a result, or one message of a prompt."""
