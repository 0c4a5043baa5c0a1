"""The public API of a module as plain text: each name with its signature, its bases and its public members.

It is read from the source, so annotations and defaults are the same with every Python version. Docstrings, bodies and
private names are left out, because they may change.
"""

import ast
import copy
import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

OURS: Final = ("maas_mcp", "maas_simulator")
NOT_SHOWN: Final = {"override", "no_type_check"}
"""Decorators that do not matter to a caller."""
PLAIN: Final = (str, int, float, bool, type(None))
"""Types of constants whose value is shown instead of their name."""
INDENT: Final = "    "

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Found:
    """A definition with its module."""

    module: str
    name: str
    node: Definition


def render(module: str, names: Iterable[str], public: Iterable[str] = ()) -> str:
    """Return the text for these names of a module, without members of bases that a ``public`` module shows."""
    found = [_found(module, name) for name in sorted(names)]
    known = {(each.module, each.name) for each in found}
    for other in public:
        known |= {(each.module, each.name) for each in (_found(other, name) for name in exported(other))}
    return "\n\n".join("\n".join(_shown(each, known)) for each in found) + "\n"


def exported(module: str) -> list[str]:
    """Return a module's ``__all__``, or its own public names."""
    names: list[str] | None = getattr(importlib.import_module(module), "__all__", None)
    return names if names is not None else [each for each in _definitions(module) if not each.startswith("_")]


@cache
def _tree(module: str) -> ast.Module:
    file = importlib.import_module(module).__file__
    assert file
    return ast.parse(Path(file).read_text(encoding="utf-8"))


@cache
def _definitions(module: str) -> dict[str, Definition]:
    body = [node for node in _tree(module).body if isinstance(node, Definition)]
    return {name: node for node in body for name in _names(node)}


def _names(node: Definition) -> list[str]:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return [each.id for each in _targets(node) if isinstance(each, ast.Name)]
    return [node.name]


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _imported(module: str, name: str) -> tuple[str, str] | None:
    """Return the module and name of an import from the project's own modules."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node.module, alias.name
    return None


def _find(module: str, name: str) -> Found | None:
    node = _definitions(module).get(name)
    if node is not None:
        return Found(module, name, node)
    origin = _imported(module, name)
    return _find(*origin) if origin else None


def _found(module: str, name: str) -> Found:
    found = _find(module, name)
    assert found, f"{module}.{name} is not defined in {OURS}"
    return found


def _shown(found: Found, known: set[tuple[str, str]]) -> Iterator[str]:
    node = found.node
    if isinstance(node, ast.ClassDef):
        yield from _decorators(node)
        bases = [ast.unparse(each) for each in (*node.bases, *node.keywords)]
        yield f"class {node.name}({', '.join(bases)}):" if bases else f"class {node.name}:"
        for lines in _ordered(_members(found, known)):
            yield from (INDENT + line for line in lines)
    elif isinstance(node, FUNCTIONS):
        yield from _function(node, found.module)
    else:
        yield _assignment(node, found.module)


@dataclass
class Member:
    """A public member of a class. An overloaded function has one signature per overload."""

    lines: list[str]
    called: bool = False


def _ordered(members: Mapping[str, Member]) -> Iterator[list[str]]:
    """Yield attributes in their order, which may be that of the constructor's parameters, and then functions."""
    yield from (each.lines for each in members.values() if not each.called)
    yield from (members[name].lines for name in sorted(members) if members[name].called)


def _members(found: Found, known: set[tuple[str, str]]) -> dict[str, Member]:
    """Return the public members of a class, after those of its bases that are not shown elsewhere."""
    assert isinstance(found.node, ast.ClassDef)
    members: dict[str, Member] = {}
    for base in reversed(found.node.bases):
        expression = base.value if isinstance(base, ast.Subscript) else base
        inherited = _find(found.module, expression.id) if isinstance(expression, ast.Name) else None
        if inherited and isinstance(inherited.node, ast.ClassDef) and (inherited.module, inherited.name) not in known:
            members |= _members(inherited, known)
    own: dict[str, Member] = {}
    for node in found.node.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            own |= {name: Member([_assignment(node, found.module)]) for name in _names(node) if _is_public(name)}
        if isinstance(node, FUNCTIONS) and _is_public(node.name):
            own.setdefault(node.name, Member([], called=True)).lines.extend(_function(node, found.module))
        if isinstance(node, FUNCTIONS) and node.name == "__init__":
            own = {name: Member([line]) for name, line in _set_by(node)} | own
    return members | own


def _is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name not in {"__post_init__", "__slots__"})


def _set_by(init: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    """Yield the public attributes that a constructor sets. A stored parameter has its annotation."""
    given = {each.arg: each.annotation for each in (*init.args.args, *init.args.kwonlyargs)}
    for node in ast.walk(init):
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        kept = given.get(node.value.id) if isinstance(node.value, ast.Name) else None
        annotation = node.annotation if isinstance(node, ast.AnnAssign) else kept
        typed = f": {ast.unparse(annotation)}" if annotation else ""
        for target in _targets(node):
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self" and _is_public(target.attr):
                yield target.attr, f"self.{target.attr}{typed}"


def _decorators(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [f"@{text}" for text in map(ast.unparse, node.decorator_list) if text not in NOT_SHOWN]


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, module: str) -> Iterator[str]:
    yield from _decorators(node)
    arguments = copy.deepcopy(node.args)
    arguments.defaults = [_value(each, module) for each in arguments.defaults]
    arguments.kw_defaults = [each and _value(each, module) for each in arguments.kw_defaults]
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    yield f"{kind} {node.name}({ast.unparse(arguments)}){returns}"


def _assignment(node: ast.Assign | ast.AnnAssign, module: str) -> str:
    value = f" = {ast.unparse(_value(node.value, module))}" if node.value else ""
    if isinstance(node, ast.AnnAssign):
        return f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}{value}"
    return f"{' = '.join(map(ast.unparse, node.targets))}{value}"


def _value(node: ast.expr, module: str) -> ast.expr:
    """Return a default, or the value of the constant that it names, because that value may change as well."""
    if isinstance(node, ast.Name):
        constant = getattr(importlib.import_module(module), node.id, ...)
        if isinstance(constant, PLAIN):
            return ast.Constant(constant)
    return node
