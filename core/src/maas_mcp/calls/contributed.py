"""Reads resources and completes arguments as calls of tools, so that they pass the same steps."""

import inspect
import typing
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from maas_mcp.errors import MaasNotFoundError, PluginError, ResourceNotFoundError, UnknownOperationError
from maas_mcp.operations.declaring.completion import Choice, Completion
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, Tool, ToolContext
from maas_mcp.operations.running.results import kind_of
from maas_mcp.plugins.machine_fields import machine_fields

DEFAULT_TYPES: Final = {str: "text/plain", bytes: "application/octet-stream"}


class DeclaredTool(Tool[ArgsT, ResultT]):
    """A tool of the host that runs the code of a resource or completion.

    Args:
        declared: The resource or completion. Its plugin's settings and state are used.
    """

    read_only = True

    def __init__(self, declared: Resource | Completion) -> None:
        self.declared = declared


class Nothing(BaseModel):
    """No arguments, because they are known before the call."""


class SentContent(BaseModel):
    """The content of a resource, as it is sent."""

    mime_type: str
    text: str | None = None
    blob: str | None = None
    """Binary content in base64."""
    machine_fields: tuple[str, ...] = ()
    """The fields with text from machines, as JSON pointers from the JSON in ``text``."""


class ReadResource(DeclaredTool[Nothing, SentContent]):
    """Read a resource.

    Args:
        resource: The resource or template.
        uri: Its URI.
        variables: The values of the template's variables in the URI.
    """

    name = "resources/read"

    def __init__(self, resource: Resource, uri: str, variables: Mapping[str, str]) -> None:
        super().__init__(resource)
        self._resource = resource
        self._uri = uri
        self._variables = variables

    @property
    def operation_id(self) -> str | None:
        """The id of the operation in the URI, if the template has one."""
        return self._variables.get("operation_id")

    def effects(self, args: Nothing) -> Effects:  # noqa: ARG002 - there are none
        """The machine in the URI. Nothing about it changes."""
        machine = self._variables.get("system_id")
        return Effects(() if machine is None else (machine,), changes=False, destroys=False)

    async def run(self, ctx: ToolContext, args: Nothing) -> SentContent:  # noqa: ARG002 - there are none
        """Read the resource.

        Raises:
            ResourceNotFoundError: There is no such resource, or the caller may not see it.
        """
        try:
            given = _validated(self._resource, self._variables)
        except ValidationError:
            raise unknown_resource(self._uri) from None
        try:
            return self._content(await self._resource.read(ctx, **given))
        except (MaasNotFoundError, UnknownOperationError):
            raise unknown_resource(self._uri) from None

    def _content(self, read: object) -> SentContent:
        declared = self._resource.mime_type
        if isinstance(read, BaseModel):
            return SentContent(
                mime_type=declared or "application/json",
                text=read.model_dump_json(by_alias=True),
                machine_fields=machine_fields(type(read)),
            )
        if isinstance(read, str):
            return SentContent(mime_type=declared or DEFAULT_TYPES[str], text=read)
        if isinstance(read, bytes):
            return SentContent(mime_type=declared or DEFAULT_TYPES[bytes], blob=b64encode(read).decode())
        raise PluginError(
            f"{type(self._resource).__qualname__}.read returned {kind_of(read)}. Expected text, bytes or a pydantic "
            "model. This is a bug in the plugin."
        )


def unknown_resource(uri: str) -> ResourceNotFoundError:
    """The error for a URI without a resource."""
    return ResourceNotFoundError(
        f"There is no resource {uri[:200]}.",
        hint="Pass a URI that is listed or matches a listed template, and check the ids in it.",
    )


def find_resource(resources: Sequence[Resource], uri: str) -> ReadResource:
    """Return the tool that reads the resource of a URI.

    Raises:
        ResourceNotFoundError: No resource has this URI.
    """
    for resource in resources:
        variables = resource.template.match(uri)
        if variables is not None:
            return ReadResource(resource, uri, variables)
    raise unknown_resource(uri)


def _validated(resource: Resource, variables: Mapping[str, str]) -> dict[str, Any]:
    """Validate the variables by the annotations of ``read``.

    Raises:
        ValidationError: A value does not match, such as a hostname in place of a system id.
    """
    hints = typing.get_type_hints(inspect.unwrap(type(resource).read), include_extras=True)
    return {name: TypeAdapter(hints.get(name, str)).validate_python(value) for name, value in variables.items()}


class Choices(BaseModel):
    """The possible values of an argument, each with other texts that select it."""

    values: list[tuple[str, list[str]]]


class ListChoices(DeclaredTool[Nothing, Choices]):
    """List the possible values of an argument.

    Args:
        completion: The completion.
    """

    name = "completion/complete"

    def __init__(self, completion: Completion) -> None:
        super().__init__(completion)
        self._completion = completion

    async def run(self, ctx: ToolContext, args: Nothing) -> Choices:  # noqa: ARG002 - there are none
        """Ask the completion."""
        found = await self._completion.choices(ctx)
        choices = [each if isinstance(each, Choice) else Choice(each) for each in found]
        return Choices(values=[(each.value, list(each.names)) for each in choices])
