"""Checks of the methods that a plugin class overrides: their kind and parameters must match the base class."""

import inspect
from collections.abc import Callable
from typing import Any, Final

_HOST: Final = f"{__name__.partition('.')[0]}."


def is_of_host(cls: type) -> bool:
    """Whether a class is defined in maas-mcp itself."""
    return cls.__module__.startswith(_HOST)


def check_overrides(cls: type) -> None:
    """Check that the server can call each method that a plugin class overrides.

    Raises:
        TypeError: A method is async instead of plain or the reverse, or it does not accept the server's arguments.
    """
    owners: dict[str, type] = {}
    defined = {name for base in cls.__mro__ if not is_of_host(base) for name in vars(base)}
    for base in reversed(cls.__mro__[1:]):
        if is_of_host(base):
            owners |= {name: base for name in vars(base) if not name.startswith("_") and name in defined}
    for name, owner in owners.items():
        given, own = inspect.getattr_static(cls, name), inspect.getattr_static(owner, name)
        if given is own:
            continue
        if isinstance(own, property):
            _check_property(f"{cls.__qualname__}.{name}", name, given)
        elif isinstance(own, classmethod) or inspect.isfunction(own):
            _check_method(f"{cls.__qualname__}.{name}", getattr(cls, name), getattr(owner, name))
            _check_parameters(cls, owner, name)


def _check_property(where: str, name: str, given: object) -> None:
    if inspect.isroutine(given) or inspect.iscoroutinefunction(getattr(given, "fget", None)):
        raise TypeError(
            f"{where}: expected a property, but it is a method, which is never called. "
            f"Write `@property` above `def {name}(self)`."
        )


def _check_method(where: str, given: object, own: Callable[..., Any]) -> None:
    if not callable(given):
        raise TypeError(
            f"{where}: expected a method, but it is an object of type {type(given).__name__}. Write `{_shown(own)}`."
        )
    is_async = inspect.iscoroutinefunction(given)
    if inspect.iscoroutinefunction(own) and not is_async:
        raise TypeError(
            f"{where}: expected an async function, but it is a plain one, which blocks the server and cannot be "
            f"cancelled. Write `{_shown(own)}`."
        )
    if not inspect.iscoroutinefunction(own) and (is_async or inspect.isasyncgenfunction(given)):
        raise TypeError(
            f"{where}: expected a plain function, but it is an async one, which is never awaited. "
            f"Write `{_shown(own)}`."
        )


def _check_parameters(cls: type, owner: type, name: str) -> None:
    given, own = getattr(cls, name), getattr(owner, name)
    if _same_parameters(given, own):
        return
    wanted = _positional(own)
    if not inspect.isfunction(inspect.getattr_static(cls, name)) and inspect.isfunction(own):
        wanted = wanted[1:]  # a static method, for example, receives no instance
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):
        return  # for example a function written in C: its signature is unknown
    try:
        signature.bind(*wanted)
    except TypeError:
        raise TypeError(
            f"{cls.__qualname__}.{name}: expected it to take ({', '.join(_positional(own))}), but it takes "
            f"({', '.join(signature.parameters)}). Write `{_shown(own)}`."
        ) from None


def _same_parameters(given: object, own: object) -> bool:
    """Whether both are functions with the same positional parameters and no others. ``inspect.signature`` is slow."""
    if not (inspect.isfunction(given) and inspect.isfunction(own)) or hasattr(given, "__wrapped__"):
        return False
    a, b = given.__code__, own.__code__
    return (
        a.co_varnames[: a.co_argcount] == b.co_varnames[: b.co_argcount]
        and a.co_kwonlyargcount == b.co_kwonlyargcount == 0
        and a.co_posonlyargcount == b.co_posonlyargcount == 0
    )


def _positional(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]


def _shown(function: Callable[..., Any]) -> str:
    head = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{head} {function.__name__}({', '.join(_positional(function))})"
