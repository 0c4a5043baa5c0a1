"""Serves the plugins' skills as the MCP extension ``io.modelcontextprotocol/skills`` (SEP-2640), and as resources."""

import base64
import logging
import mimetypes
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NoReturn
from urllib.parse import quote

import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError

from maas_mcp.calls.host import Host
from maas_mcp.plugins.skills import MAIN_FILE, Skill, SkillFile, read_skills
from maas_mcp.server.catalogue import Catalogue
from maas_mcp.server.client_log import ClientLog
from maas_mcp.server.paging import page

CACHE: Final = CacheHint(ttl_ms=60_000)
DIRECTORY: Final = "inode/directory"
"""The type of a folder, as SEP-2640 says."""
Context = ServerRequestContext[Host, object]

logger = logging.getLogger(__name__)


class SkillParams(types.RequestParams):
    """The parameters of ``skills/get``."""

    uri: str


class DirectoryParams(types.PaginatedRequestParams):
    """The parameters of ``resources/directory/read``."""

    uri: str


class LoadedSkills:
    """The skills that call only tools of loaded plugins. Their files are read at the first use.

    Args:
        packages: The packages with skills of each plugin, by the plugin's name.
        tools: The names of the loaded tools.
    """

    def __init__(self, packages: Mapping[str, Sequence[str]], tools: Collection[str]) -> None:
        self._packages = packages
        self._tools = frozenset(tools)

    @cached_property
    def skills(self) -> Sequence[Skill]:
        """The skills, sorted by name. The log names each skill that is left out."""
        skills, broken = read_skills(self._packages)
        for each in broken:
            logger.error("The skill %s of the plugin %s cannot be used: %s", each.path, each.plugin, each.error)
        for skill in skills:
            if missing := sorted(skill.tools - self._tools):
                logger.warning("The skill %s is left out: no plugin has %s.", skill.name, ", ".join(missing))
        return [skill for skill in skills if skill.tools <= self._tools]


class SkillCatalogue:
    """The skills that a request can use: those that call only served tools.

    :meth:`resources` and :meth:`read` provide them for ``resources/list`` and ``resources/read``.

    Args:
        loaded: The skills of the plugins.
        tools: The names of the served tools.
    """

    def __init__(self, loaded: LoadedSkills, tools: Collection[str]) -> None:
        self._loaded = loaded
        self._tools = frozenset(tools)

    @cached_property
    def skills(self) -> Sequence[Skill]:
        """The skills, sorted by name."""
        return [skill for skill in self._loaded.skills if skill.tools <= self._tools]

    @cached_property
    def entries(self) -> Sequence[Mapping[str, Any]]:
        """An entry of ``skills/list`` for each skill."""
        return [_entry(skill) for skill in self.skills]

    def resources(self) -> Sequence[types.Resource]:
        """Each file of each skill."""
        return [resource for resource, _ in self._files.values()]

    def read(self, uri: str) -> types.TextResourceContents | types.BlobResourceContents | None:
        """The content of a file; ``None`` if no skill has it."""
        if uri not in self._files:
            return None
        resource, file = self._files[uri]
        try:
            return types.TextResourceContents(uri=uri, mime_type=resource.mime_type, text=file.content.decode())
        except UnicodeDecodeError:
            blob = base64.b64encode(file.content).decode()
            return types.BlobResourceContents(uri=uri, mime_type=resource.mime_type, blob=blob)

    def other_files(self, skill: Skill) -> Sequence[types.TextResourceContents | types.BlobResourceContents]:
        """The contents of a skill's files but ``SKILL.md``."""
        return [content for file in skill.files[1:] if (content := self.read(_uri(skill, file)))]

    def children(self, uri: str) -> Sequence[types.Resource] | None:
        """The files and folders directly in a folder; ``None`` if no skill has it."""
        folder = f"{uri}/"
        below = {each: each.removeprefix(folder).split("/") for each in self._files if each.startswith(folder)}
        folders = dict.fromkeys(parts[0] for parts in below.values() if len(parts) > 1)
        found = [self._files[each][0] for each, parts in below.items() if len(parts) == 1]
        found += [types.Resource(uri=folder + name, name=name, mime_type=DIRECTORY) for name in folders]
        return found or None

    @cached_property
    def _files(self) -> Mapping[str, tuple[types.Resource, SkillFile]]:
        """Each file with its description, by its URI."""
        return {_uri(skill, file): (_resource(skill, file), file) for skill in self.skills for file in skill.files}


def add_handlers(server: Server[Host], served: Catalogue, _log: ClientLog) -> None:
    """Handle the requests of the extension."""

    async def list_skills(ctx: Context, params: types.PaginatedRequestParams) -> dict[str, Any]:
        entries, following = page((await served.view(ctx)).contents.skills.entries, params.cursor)
        return {"skills": entries} | ({"nextCursor": following} if following else {})

    async def get_skill(ctx: Context, params: SkillParams) -> dict[str, Any]:
        entries = (await served.view(ctx)).contents.skills.entries
        entry = next((each for each in entries if each["uri"] == params.uri), None)
        return {"skill": entry} if entry is not None else _refuse(params.uri, "skill", "skills/list")

    async def read_directory(ctx: Context, params: DirectoryParams) -> dict[str, Any]:
        children = (await served.view(ctx)).contents.skills.children(params.uri)
        if children is None:
            _refuse(params.uri, "folder of a skill", "skills/list")
        shown, following = page(children, params.cursor)
        resources = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in shown]
        return {"resources": resources} | ({"nextCursor": following} if following else {})

    server.add_request_handler("skills/list", types.PaginatedRequestParams, list_skills)
    server.add_request_handler("skills/get", SkillParams, get_skill)
    server.add_request_handler("resources/directory/read", DirectoryParams, read_directory)
    server.cache_hints |= dict.fromkeys(("skills/list", "skills/get", "resources/directory/read"), CACHE)


def _refuse(uri: str, what: str, method: str) -> NoReturn:
    raise MCPError(
        code=types.INVALID_PARAMS,
        message=f"No {what} has the URI {uri[:200]!r}. Pass a URI that {method} lists.",
        data={"uri": uri[:200]},
    )


def _uri(skill: Skill, file: SkillFile) -> str:
    return f"skill://{skill.name}/{quote(file.path)}"


def _entry(skill: Skill) -> Mapping[str, Any]:
    resources = [{"uri": _uri(skill, file), "size": len(file.content), "digest": file.digest} for file in skill.files]
    return {"uri": resources[0]["uri"], "frontmatter": skill.frontmatter, "resources": resources}


def _resource(skill: Skill, file: SkillFile) -> types.Resource:
    main = file.path == MAIN_FILE
    return types.Resource(
        uri=_uri(skill, file),
        name=skill.name if main else f"{skill.name}/{file.path}",
        description=skill.description if main else None,
        mime_type=mimetypes.guess_type(file.path)[0] or "application/octet-stream",
        size=len(file.content),
    )
