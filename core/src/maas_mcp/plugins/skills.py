"""Skills of plugins: runbooks for the model, in the folder ``skills`` of a Python package. Reads and checks them.

A skill is a folder with a file ``SKILL.md``, as the Agent Skills specification says. Nothing is read before
:func:`read_skills` is called.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from maas_mcp.errors import PluginError

FOLDER: Final = "skills"
"""The folder of a package with its skills, one folder each."""
MAIN_FILE: Final = "SKILL.md"
NAME: Final = re.compile(r"(?=.{1,64}$)[a-z0-9]+(-[a-z0-9]+)*")
"""The names that the Agent Skills specification allows."""
DESCRIPTION_LENGTH: Final = 1024
"""Maximum characters of a description (Agent Skills specification)."""
MAX_FILES: Final = 512
MAX_BYTES: Final = 16 * 1024 * 1024
"""Maximum size of a skill's files together. SEP-2640 recommends both limits."""
ARGUMENT: Final = "maas-mcp.argument."
"""The prefix of the keys in the frontmatter's ``metadata`` that declare an argument of the skill's prompt."""
FRONTMATTER: Final = re.compile(r"---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
CALLED_TOOL: Final = re.compile(r'"tool":\s*"(\w+)"')


@dataclass(frozen=True, slots=True)
class SkillFile:
    """A file of a skill."""

    path: str
    """Relative to the skill's folder, with slashes: ``SKILL.md``, ``references/stages.md``."""
    content: bytes

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, as SEP-2640 writes it."""
        return f"sha256:{sha256(self.content).hexdigest()}"


@dataclass(frozen=True)
class Skill:
    """A valid skill."""

    plugin: str
    name: str
    description: str
    frontmatter: Mapping[str, Any]
    """As written: strings, and ``metadata`` with strings."""
    files: tuple[SkillFile, ...]
    """``SKILL.md`` first, then the others, sorted by path."""

    @cached_property
    def text(self) -> str:
        """The text of ``SKILL.md`` below the frontmatter."""
        text = self.files[0].content.decode()
        return FRONTMATTER.sub("", text, count=1).lstrip()

    @cached_property
    def arguments(self) -> Mapping[str, str]:
        """The description of each argument of the skill's prompt, by its name. All are optional."""
        metadata = self.frontmatter.get("metadata", {})
        return {key.removeprefix(ARGUMENT): text for key, text in metadata.items() if key.startswith(ARGUMENT)}

    @cached_property
    def tools(self) -> frozenset[str]:
        """The tools that ``SKILL.md`` calls, in JSON such as ``{"tool": "acme_read", "arguments": {}}``."""
        return frozenset(CALLED_TOOL.findall(self.text))


@dataclass(frozen=True, slots=True)
class BrokenSkill:
    """A skill, or a package of skills, that cannot be used."""

    plugin: str
    path: str
    """``acme_rescue/skills/boot-a-rack``."""
    error: str


def read_skills(packages: Mapping[str, Sequence[str]]) -> tuple[list[Skill], list[BrokenSkill]]:
    """Read and check the skills of all plugins.

    A broken skill does not affect the others. If two skills have the same name, the first one is used.

    Args:
        packages: The packages of each plugin, by the plugin's name. Earlier plugins get a name first.

    Returns:
        The valid skills, sorted by name, and the others with the reason.
    """
    skills: dict[str, Skill] = {}
    broken: list[BrokenSkill] = []
    for plugin, package, folder in _folders(packages, broken.append):
        try:
            skill = _read_skill(plugin, folder)
            _check_unique(skill, skills)
        except (PluginError, OSError) as error:
            broken.append(BrokenSkill(plugin, f"{package}/{FOLDER}/{folder.name}", str(error)))
        else:
            skills[skill.name] = skill
    return sorted(skills.values(), key=lambda skill: skill.name), broken


def _check_unique(skill: Skill, others: Mapping[str, Skill]) -> None:
    if other := others.get(skill.name):
        raise PluginError(
            f"The plugin {other.plugin} has a skill with the same name. Expected a unique name. "
            "Rename the folder, and `name` in the frontmatter."
        )


def _folders(
    packages: Mapping[str, Sequence[str]], report: Callable[[BrokenSkill], None]
) -> Iterator[tuple[str, str, Traversable]]:
    """Yield each skill's plugin, package and folder."""
    for plugin, names in packages.items():
        for package in names:
            try:
                folders = [each for each in (files(package) / FOLDER).iterdir() if each.is_dir()]
            except (ImportError, OSError, TypeError) as error:
                report(
                    BrokenSkill(
                        plugin,
                        f"{package}/{FOLDER}",
                        f"The folder cannot be read ({error}). Expected one folder for each skill. Add it to the "
                        "package's data, or remove the package from the hook.",
                    )
                )
                continue
            visible = (each for each in folders if not each.name.startswith((".", "_")))
            yield from ((plugin, package, each) for each in sorted(visible, key=lambda each: each.name))


def _read_skill(plugin: str, folder: Traversable) -> Skill:
    """Read a skill.

    Raises:
        PluginError: It is not valid. The message says why, and what to do.
    """
    found = sorted(_files_below(folder, ""), key=lambda file: (file.path != MAIN_FILE, file.path))
    if not found or found[0].path != MAIN_FILE:
        raise PluginError(f"It has no file {MAIN_FILE}. Expected one with the skill's text. Write it.")
    size = sum(len(file.content) for file in found)
    if len(found) > MAX_FILES or size > MAX_BYTES:
        raise PluginError(
            f"It has {len(found)} files with {size} bytes. Expected at most {MAX_FILES} files and {MAX_BYTES} bytes, "
            "because clients load skills over the network. Remove some."
        )
    frontmatter = _read_frontmatter(found[0])
    name, description = frontmatter.get("name", ""), frontmatter.get("description", "")
    if not NAME.fullmatch(name) or name != folder.name:
        raise PluginError(
            f"Its name is {name!r}. Expected the folder's name, {folder.name!r}, with at most 64 lower-case letters, "
            "digits and single hyphens. Rename one of them."
        )
    if not description.strip() or len(description) > DESCRIPTION_LENGTH:
        raise PluginError(
            f"Its description has {len(description)} characters. Expected 1 to {DESCRIPTION_LENGTH}, which say what "
            "the skill does and when to use it. Change `description` in the frontmatter."
        )
    return Skill(plugin, name, description, frontmatter, tuple(found))


def _files_below(folder: Traversable, prefix: str) -> Iterator[SkillFile]:
    for each in folder.iterdir():
        if each.name.startswith(".") or each.name == "__pycache__":
            continue
        if each.is_dir():
            yield from _files_below(each, f"{prefix}{each.name}/")
        else:
            yield SkillFile(prefix + each.name, each.read_bytes())


def _read_frontmatter(file: SkillFile) -> dict[str, Any]:
    """The frontmatter. Its values are strings, because YAML parsers differ in what else they make of a plain word."""
    import yaml  # noqa: PLC0415 - takes 20 ms; not needed before a client asks for skills

    try:
        match = FRONTMATTER.match(file.content.decode())
        frontmatter = yaml.safe_load(match[1]) if match else None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise PluginError(
            f"{MAIN_FILE} cannot be read ({' '.join(str(error).split())}). Expected UTF-8 and valid YAML. Fix the file."
        ) from error
    if not isinstance(frontmatter, dict):
        raise PluginError(
            f"{MAIN_FILE} has no frontmatter. Expected a first line `---`, the fields `name` and `description` in "
            "YAML, and a line `---`. Write them."
        )
    metadata = frontmatter.get("metadata", {})
    nested = metadata.items() if isinstance(metadata, dict) else [("metadata", None)]
    top = [(key, value) for key, value in frontmatter.items() if key != "metadata"]
    for key, value in (*top, *nested):
        if not isinstance(key, str) or not isinstance(value, str):
            raise PluginError(
                f"The field {key} of its frontmatter is not a string. Expected strings, and `metadata` with strings. "
                "Put the value in quotes."
            )
    return frontmatter
