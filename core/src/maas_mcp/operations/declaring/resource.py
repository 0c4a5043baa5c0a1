"""Resource declarations: data that a client reads by its URI."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from maas_mcp.operations.declaring.tool import ToolContext, check_tool_names
from maas_mcp.operations.declaring.uri_template import UriTemplate

ResourceContent = str | bytes | BaseModel
"""The content of a resource. A model is sent as JSON."""


class Resource(ABC):
    """Data that clients read, and may subscribe to, by a URI or a URI template.

    The class docstring is the description. A class without a ``uri`` is an abstract base.

    A template with the variable ``system_id`` or ``operation_id``, and no other, is announced as updated whenever an
    operation on that machine, or that operation, is followed and changes.
    """

    uri: ClassVar[str]
    """The URI, or a template of level 1 (RFC 6570): ``acme://racks/{rack}``. A value contains no slash."""
    name: ClassVar[str]
    """The name, for programs: ``rack``."""
    title: ClassVar[str] = ""
    """The name for people. By default it is derived from ``name``."""
    mime_type: ClassVar[str] = ""
    """The type of the content, if all resources of the template have the same. By default it follows from the content:
    ``text/plain``, ``application/octet-stream``, or ``application/json`` for a model."""
    tools: ClassVar[tuple[str, ...]] = ()
    """The names of tools that show the same. The resource is served only where all of them are."""
    template: ClassVar[UriTemplate]
    """The parsed ``uri``; set automatically."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if getattr(cls, "uri", "") and not inspect.isabstract(cls):
            cls.template = _template_of(cls)
            _check(cls)

    @abstractmethod
    async def read(self, ctx: ToolContext, *args: Any, **variables: Any) -> ResourceContent:
        """Return the content.

        Args:
            ctx: The services, as for a tool.
            args: Not used. It lets a subclass name its variables.
            variables: One parameter for each variable of the template, of type ``str`` or ``SystemId``.

        Raises:
            MaasNotFoundError: There is no such resource.
            MaasMcpError: It cannot be read. The message goes to the client.
        """

    @classmethod
    def description(cls) -> str:
        """Return the description: the class docstring."""
        return inspect.cleandoc(cls.__doc__ or "").strip()

    def updated_by(self, changed: Mapping[str, str]) -> Sequence[str]:
        """Return the URIs of the resources that a change updates.

        Args:
            changed: ``system_id`` for a machine, ``operation_id`` for an operation, or both.
        """
        variables = self.template.variables
        if not variables or not changed.keys() >= set(variables):
            return ()
        return (self.template.expand(changed),)


def _template_of(cls: type[Resource]) -> UriTemplate:
    uri: object = cls.uri
    if not isinstance(uri, str):
        raise TypeError(f'{cls.__qualname__}.uri: expected a string, but it is {uri!r}. Write `uri = "acme://racks"`.')
    try:
        return UriTemplate(uri)
    except ValueError as error:
        raise TypeError(f"{cls.__qualname__}.uri: expected {error}, but it is {uri!r}. Correct the URI.") from None


def _check(cls: type[Resource]) -> None:
    """Validate the class when it is defined.

    Raises:
        TypeError: The declaration is invalid. The message states the problem, the expected value and the fix.
    """
    for name, default in (("name", None), ("title", ""), ("mime_type", "")):
        value: object = getattr(cls, name, default)
        if not isinstance(value, str) or (name == "name" and not value):
            raise TypeError(
                f'{cls.__qualname__}.{name}: expected a string, but it is {value!r}. Write `{name} = "…"` in the class.'
            )
    if not cls.description():
        raise TypeError(
            f"{cls.__qualname__}: expected a docstring, but there is none. Clients show it, and models read it."
        )
    check_tool_names(cls, cls.tools)
    variables = cls.template.variables
    shown = f"async def read({', '.join(['self', 'ctx', *variables])})"
    if not inspect.iscoroutinefunction(cls.read):
        raise TypeError(f"{cls.__qualname__}.read: expected an async function. Write `{shown}`.")
    try:
        inspect.signature(cls.read).bind(None, None, **dict.fromkeys(variables))
    except TypeError:
        raise TypeError(
            f"{cls.__qualname__}.read: expected a parameter for each variable of {cls.uri!r}, but it takes "
            f"({', '.join(inspect.signature(cls.read).parameters)}). Write `{shown}`."
        ) from None
