"""Skills are read from the packages of plugins, and a broken one affects no other."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from maas_mcp.errors import PluginError
from maas_mcp.plugins.registry import PluginState, load_registry
from maas_mcp.plugins.skills import BrokenSkill, Skill, read_skills

Install = Callable[..., str]
Write = Callable[..., Path]

GOOD = "---\nname: {name}\ndescription: Reads a machine.\n---\n\n# Read\n"


@pytest.fixture
def write(site: Path) -> Write:
    """Write a file of a skill in the package ``acme_books``, or of another package."""

    def write(skill: str, text: str | bytes = GOOD, file: str = "SKILL.md", package: str = "acme_books") -> Path:
        path = site / package / "skills" / skill / file
        path.parent.mkdir(parents=True, exist_ok=True)
        (site / package / "__init__.py").touch()
        path.write_bytes(text if isinstance(text, bytes) else text.replace("{name}", skill).encode())
        return path

    return write


def read(*packages: str) -> tuple[list[Skill], list[BrokenSkill]]:
    return read_skills({"books": packages or ("acme_books",)})


def reason(write: Write, text: str | bytes, skill: str = "broken") -> str:
    """Return the error of a skill with this text, next to a good one that must be read."""
    write("good")
    write(skill, text)
    (good,), (broken,) = read()
    assert good.name == "good"
    assert broken.path == f"acme_books/skills/{skill}"
    return broken.error


# Reading


def test_a_skill_has_its_frontmatter_its_text_and_its_files(write: Write) -> None:
    write("read-a-machine", GOOD.replace("---\n\n", "license: Apache-2.0\n---\n\n"))
    write("read-a-machine", b"\x00\xff", "images/rack.png")
    write("read-a-machine", "More.", "references/more.md")
    write("read-a-machine", "hidden", ".cache")

    (skill,), broken = read()

    assert broken == []
    assert skill.frontmatter == {
        "name": "read-a-machine",
        "description": "Reads a machine.",
        "license": "Apache-2.0",
    }
    assert skill.text == "# Read\n"
    assert [file.path for file in skill.files] == ["SKILL.md", "images/rack.png", "references/more.md"]
    assert skill.files[1].digest == f"sha256:{hashlib.sha256(bytes([0, 255])).hexdigest()}"


def test_the_arguments_of_the_prompt_are_in_the_metadata(write: Write) -> None:
    metadata = "metadata:\n  author: Acme\n  maas-mcp.argument.system_id: Which machine.\n---\n\n"
    write("read", GOOD.replace("---\n\n", metadata))

    (skill,), _ = read()

    assert skill.arguments == {"system_id": "Which machine."}


def test_the_tools_of_a_skill_are_those_that_it_calls(write: Write) -> None:
    write("read", GOOD + 'maas_list_machines\n```json\n{"tool": "acme_read", "arguments": {}}\n```\n')

    (skill,), _ = read()

    assert skill.tools == {"acme_read"}


def test_skills_are_sorted_by_name_whatever_their_package(write: Write) -> None:
    for skill, package in (("c", "acme_books"), ("a", "acme_books"), ("b", "acme_more")):
        write(skill, package=package)

    skills, _ = read("acme_more", "acme_books")

    assert [skill.name for skill in skills] == ["a", "b", "c"]


def test_a_file_with_windows_line_ends_is_read(write: Write) -> None:
    write("read", GOOD.replace("\n", "\r\n"))

    (skill,), broken = read()

    assert (broken, skill.description) == ([], "Reads a machine.")


# Broken skills


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# No frontmatter\n", "has no frontmatter. Expected a first line `---`"),
        ("---\n- a list\n---\n", "has no frontmatter"),
        ("---\nname: [\n---\n", "cannot be read"),
        (b"---\nname: \xff\n---\n", "Expected UTF-8 and valid YAML. Fix the file."),
        ("---\nname: other\ndescription: x\n---\n", "Its name is 'other'. Expected the folder's name, 'broken'"),
        ("---\ndescription: x\n---\n", "Its name is ''"),
        ("---\nname: broken\n---\n", "Its description has 0 characters"),
        (f"---\nname: broken\ndescription: {'x' * 1025}\n---\n", "Its description has 1025 characters"),
        ("---\nname: broken\ndescription: x\nversion: 1.0\n---\n", "The field version of its frontmatter is not a"),
        ("---\nname: broken\ndescription: x\ndate: 2026-01-01\n---\n", "Put the value in quotes."),
        ("---\nname: broken\ndescription: x\ndate: 2026-13-45\n---\n", "cannot be read"),
        (f"---\nname: {'[' * 1000}\n---\n", "cannot be read"),
        ("---\nname: broken\ndescription: x\nmetadata: text\n---\n", "The field metadata"),
        ("---\nname: broken\ndescription: x\nmetadata:\n  a: {b: c}\n---\n", "The field a of its frontmatter"),
    ],
)
def test_a_broken_skill_is_left_out_with_the_reason(write: Write, text: str | bytes, expected: str) -> None:
    error = reason(write, text)

    assert expected in error
    assert "\n" not in error


@pytest.mark.parametrize("name", ["Upper", "a--b", "-a", "under_score", "x" * 65])
def test_a_name_that_the_specification_forbids_is_rejected(write: Write, name: str) -> None:
    assert "single hyphens" in reason(write, GOOD, name)


def test_a_folder_without_a_main_file_is_rejected(write: Write) -> None:
    write("broken", "x", "readme.md")

    _, (broken,) = read()

    assert broken.error.startswith("It has no file SKILL.md.")


def test_a_skill_with_too_many_files_is_rejected(write: Write) -> None:
    write("broken")
    for number in range(512):
        write("broken", "x", f"{number}.md")

    _, (broken,) = read()

    assert "It has 513 files" in broken.error


def test_the_second_of_two_skills_with_one_name_is_rejected(write: Write) -> None:
    write("read")
    write("read", package="acme_more")

    (skill,), (broken,) = read_skills({"books": ["acme_books"], "more": ["acme_more"]})

    assert (skill.plugin, broken.plugin) == ("books", "more")
    assert broken.error.startswith("The plugin books has a skill with the same name.")


@pytest.mark.parametrize("package", ["acme_nowhere", "json"])
def test_a_package_without_skills_is_reported(write: Write, package: str) -> None:
    write("read")

    (skill,), (broken,) = read(package, "acme_books")

    assert skill.name == "read"
    assert broken.path == f"{package}/skills"
    assert "Expected one folder for each skill." in broken.error


# The hook


def hook(*packages: object) -> str:
    """Return the code of a hook that returns these packages."""
    return f"@hookimpl\ndef maas_mcp_skills():\n    return {list(packages)!r}\n"


def test_no_file_is_read_when_plugins_are_loaded(write: Write, install: Install, group: str) -> None:
    write("broken", "# No frontmatter")
    install("books", hook("acme_books", "acme_nowhere"))

    registry = load_registry(group=group)

    assert registry.skills == {"books": ("acme_books", "acme_nowhere")}
    (record,) = registry.records
    assert (record.state, record.skills, record.broken_skills) == (PluginState.LOADED, (), ())


def test_a_check_reports_valid_and_broken_skills_and_keeps_the_plugin(
    write: Write, install: Install, group: str
) -> None:
    write("read")
    write("broken", "# No frontmatter")
    install("books", hook("acme_books"))

    (record,) = load_registry(group=group, check_skills=True).records

    assert (record.state, record.skills) == (PluginState.LOADED, ("read",))
    (broken,) = record.broken_skills
    assert broken.startswith("acme_books/skills/broken: SKILL.md has no frontmatter.")


def test_a_strict_server_does_not_start_with_a_broken_skill(write: Write, install: Install, group: str) -> None:
    write("broken", "# No frontmatter")
    install("books", hook("acme_books"))

    with pytest.raises(PluginError, match=r"1 skills cannot be used\. skill acme_books/skills/broken: "):
        load_registry(group=group, strict=True)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("'acme_books'", "Expected a list of names of packages."),
        ("[1]", "maas_mcp_skills() returned 1 in its list."),
        ("['acme books']", "Return your package's name, such as `acme_rescue`."),
    ],
)
def test_a_hook_that_returns_no_package_names_is_rejected(
    install: Install, group: str, returned: str, expected: str
) -> None:
    install("books", f"@hookimpl\ndef maas_mcp_skills():\n    return {returned}\n")

    (record,) = load_registry(group=group).records

    assert record.state is PluginState.FAILED
    assert record.error
    assert expected in record.error
