"""Checks of polling strategies when they are declared or selected, before any machine is deployed."""

from maas_mcp.maas.models import ScriptSetName
from maas_mcp.operations.declaring.overrides import check_overrides
from maas_mcp.operations.judging.evidence import Needs
from maas_mcp.operations.judging.strategies import PollingStrategy


def check_strategy(where: str, strategy: object) -> None:
    """Check that an object can be used as a polling strategy.

    Args:
        where: The place to name in the error message, as a plugin author knows it: ``Rescue.polling``.
        strategy: The object to check.

    Raises:
        TypeError: The object is not an instance of a strategy, or it is incomplete.
    """
    if isinstance(strategy, type):
        made = f"{strategy.__name__}()" if issubclass(strategy, PollingStrategy) else "YourStrategy()"
        raise TypeError(f"{where}: expected an instance, but it is the class {strategy.__name__}. Write `{made}`.")
    if not isinstance(strategy, PollingStrategy):
        raise TypeError(
            f"{where}: expected an instance of a PollingStrategy, but it is an object of type "
            f"{type(strategy).__name__}. Write `EventPolling([…])`, or omit it."
        )
    check_overrides(type(strategy))
    _check_needs(type(strategy).__name__, strategy.needs)


def _check_needs(name: str, needs: object) -> None:
    if not isinstance(needs, Needs) or not isinstance(needs.events, bool):
        raise TypeError(
            f"{name}.needs: expected a Needs, but it is {needs!r}. "
            "Write `needs = Needs(events=True, script_sets=frozenset({…}))`."
        )
    sets: object = needs.script_sets
    if not isinstance(sets, frozenset) or not all(isinstance(each, ScriptSetName) for each in sets):
        raise TypeError(
            f"{name}.needs: expected a frozenset of ScriptSetName as its script_sets, but it is {sets!r}. "
            f"Write `Needs(script_sets=frozenset({{ScriptSetName.TESTING}}))`."
        )
