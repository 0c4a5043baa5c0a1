"""The registry reports why a plugin cannot be used, and loads all others."""

import logging
import queue
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maas_mcp.calls.arguments import CallOptions
from maas_mcp.errors import PluginError
from maas_mcp.plugins import import_watch
from maas_mcp.plugins.registry import PluginRecord, PluginState, Registry, load_registry
from maas_mcp.plugins.schemas import input_schema
from maas_mcp.plugins.validation import ALL_HOOKS, CALL_OPTIONS, PLAN_OPTIONS, REGION_OPTION
from maas_mcp.server.operation_tools import OPERATION_TOOLS

Install = Callable[..., str]


def tools(*names: str) -> str:
    """Return the code of a hook with tools of these names."""
    return f"@hookimpl\ndef maas_mcp_tools():\n    return [{', '.join(f'tool({name!r})' for name in names)}]\n"


def record_of(registry: Registry, name: str) -> PluginRecord:
    (record,) = (record for record in registry.records if record.name == name)
    return record


@pytest.fixture
def good(install: Install) -> None:
    """Install another plugin, which must always be loaded."""
    install("good", tools("maas_good"))


@pytest.fixture
def failure(install: Install, group: str, good: None) -> Callable[..., str]:  # noqa: ARG001 - installs the other plugin
    """Return the error of a plugin with this code, and check that the other plugin is loaded."""

    def failure(code: str, plugin: str = "broken", **options: object) -> str:
        install(plugin, code, **options)
        registry = load_registry(group=group)
        assert list(registry.tools) == ["maas_good"]
        assert record_of(registry, "good").state is PluginState.LOADED
        record = record_of(registry, plugin)
        assert record.state is PluginState.FAILED
        assert record.tools == ()
        assert record.error is not None
        assert "\n" not in record.error
        return record.error

    return failure


Failure = Callable[..., str]


def cited(error: str) -> str:
    """Return the line of code that the error names."""
    path, _, line = error.rpartition("(")[2].rstrip(")").rpartition(":")
    return Path(path).read_text().splitlines()[int(line) - 1].strip()


# Loading


def test_tools_and_operations_are_registered_as_instances_by_name(install: Install, group: str) -> None:
    install("rescue", tools("rescue_status", "maas_ping"))
    install("deploy", "@hookimpl\ndef maas_mcp_operations():\n    return (operation('maas_deploy'),)\n")
    registry = load_registry(group=group)
    assert {name: type(tool).__name__ for name, tool in registry.tools.items()} == {
        "maas_deploy": "Change",
        "maas_ping": "Read",
        "rescue_status": "Read",
    }
    assert list(registry.tools) == sorted(registry.tools)
    assert registry.records == (
        PluginRecord("deploy", "acme-deploy", "1.0", PluginState.LOADED, None, ("maas_deploy",)),
        PluginRecord("rescue", "acme-rescue", "1.0", PluginState.LOADED, None, ("maas_ping", "rescue_status")),
    )


def test_a_server_without_plugins_has_no_tools(group: str) -> None:
    registry = load_registry(group=group)
    assert (dict(registry.tools), registry.records) == ({}, ())


def test_a_plugin_may_have_no_tools(install: Install, group: str) -> None:
    install("rescue", tools())
    assert record_of(load_registry(group=group), "rescue").state is PluginState.LOADED


def test_a_plugin_may_be_an_object_with_hooks(install: Install, group: str) -> None:
    code = (
        "class Pack:\n    @hookimpl\n    def maas_mcp_tools(self):\n        return [tool('maas_ping')]\npack = Pack()"
    )
    install("rescue", code, value="{module}:pack")
    assert list(load_registry(group=group).tools) == ["maas_ping"]


@pytest.mark.usefixtures("good")
def test_a_plugin_object_need_not_be_hashable_or_comparable(install: Install, group: str) -> None:
    code = (
        "class Pack:\n    __hash__ = None\n    def __eq__(self, other):\n        return self is other\n"
        "    @hookimpl\n    def maas_mcp_tools(self):\n        return [tool('maas_ping')]\npack = Pack()"
    )
    install("apart", code, value="{module}:pack")
    assert set(load_registry(group=group).tools) == {"maas_good", "maas_ping"}


def test_a_hook_of_a_later_host_may_be_marked_optional(install: Install, group: str) -> None:
    install("rescue", tools("maas_ping") + "@hookimpl(optionalhook=True)\ndef maas_mcp_dreams():\n    return []\n")
    assert list(load_registry(group=group).tools) == ["maas_ping"]


# Allow and block


@pytest.mark.usefixtures("good")
def test_a_blocked_plugin_is_never_imported(install: Install, group: str) -> None:
    module = install("rescue", "raise AssertionError('imported')")
    registry = load_registry(group=group, block=["rescue"])
    assert record_of(registry, "rescue") == PluginRecord("rescue", "acme-rescue", "1.0", PluginState.BLOCKED, None, ())
    assert list(registry.tools) == ["maas_good"]
    assert module not in sys.modules


@pytest.mark.usefixtures("good")
def test_an_allow_list_blocks_all_others(install: Install, group: str) -> None:
    module = install("rescue", tools("maas_ping"))
    registry = load_registry(group=group, allow=["good"])
    assert record_of(registry, "rescue").state is PluginState.BLOCKED
    assert module not in sys.modules


@pytest.mark.usefixtures("good")
def test_a_plugin_that_is_allowed_and_blocked_is_blocked(group: str) -> None:
    assert record_of(load_registry(group=group, allow=["good"], block=["good"]), "good").state is PluginState.BLOCKED


@pytest.mark.usefixtures("good")
def test_a_misspelt_name_in_a_list_logs_a_warning(group: str, caplog: pytest.LogCaptureFixture) -> None:
    load_registry(group=group, block=["goood"])
    assert "block names the plugin 'goood', which is not installed. Did you mean 'good'?" in caplog.messages


# Before the import


@pytest.mark.parametrize("requirement", ["maas-mcp-core>=1,<2", "maas_mcp.core==0.0.9", "maas-mcp-core<0.1"])
def test_a_plugin_for_another_host_is_not_imported(failure: Failure, requirement: str) -> None:
    error = failure("raise AssertionError('imported')", requires=["rich", requirement])
    assert error.startswith("acme-broken 1.0 requires maas-mcp-core ")
    assert "Expected a release for the running maas-mcp-core 0." in error
    assert "Install another release" in error


@pytest.mark.parametrize(
    "requirement",
    [
        "maas-mcp-core>=0.1,<0.2",
        "maas-mcp-core>=1 ; extra == 'future'",
        "maas-mcp-core>=1 ; python_version < '3'",
        "maas-mcp-core-extras>=7",
        "this is not a requirement",
    ],
)
def test_an_unrelated_requirement_is_ignored(install: Install, group: str, requirement: str) -> None:
    install("rescue", tools("maas_ping"), requires=[requirement])
    assert list(load_registry(group=group).tools) == ["maas_ping"]


def test_a_prerelease_of_the_host_accepts_plugins_for_its_release(
    install: Install, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("rescue", tools("maas_ping"))
    monkeypatch.setattr("maas_mcp.plugins.validation.__version__", "0.1.1rc1")
    assert list(load_registry(group=group).tools) == ["maas_ping"]


@pytest.mark.usefixtures("good")
def test_two_plugins_with_the_same_name_both_fail_unimported(
    install: Install,
    group: str,
) -> None:
    modules = [install("rescue", "", distribution=distribution) for distribution in ("acme-one", "acme-two")]
    registry = load_registry(group=group)
    rivals = [record for record in registry.records if record.name == "rescue"]
    assert [record.state for record in rivals] == [PluginState.FAILED, PluginState.FAILED]
    for record in rivals:
        assert "'rescue' of acme-one 1.0 and 'rescue' of acme-two 1.0" in str(record.error)
    assert list(registry.tools) == ["maas_good"]
    assert not set(modules) & set(sys.modules)


@pytest.mark.parametrize("spelling", ["maas-mcp-deploy", "maas_mcp_deploy", "MAAS_MCP-Deploy"])
def test_a_plugin_with_the_name_of_the_projects_own_fails(install: Install, group: str, spelling: str) -> None:
    rival = install("deploy", tools("maas_evil"), distribution="aaa-rival")
    install("deploy", tools("maas_deploy"), distribution=spelling)
    registry = load_registry(group=group)
    assert list(registry.tools) == ["maas_deploy"]
    assert rival not in sys.modules
    states = {record.distribution: record for record in registry.records}
    assert states[spelling].state is PluginState.LOADED
    assert states["aaa-rival"].error == (
        f"'deploy' of aaa-rival 1.0 has the same name as 'deploy' of {spelling} 1.0, a plugin of maas-mcp "
        "itself. Expected a unique name. Uninstall aaa-rival, or ask its author to rename the plugin."
    )


def test_two_rivals_of_the_projects_own_plugin_are_both_named(install: Install, group: str) -> None:
    for distribution in ("aaa-rival", "maas-mcp-deploy", "zzz-rival"):
        install("deploy", tools(f"maas_{distribution[:3]}"), distribution=distribution)
    registry = load_registry(group=group)
    assert [record.state for record in registry.records] == [PluginState.FAILED, PluginState.LOADED, PluginState.FAILED]
    for record in registry.records:
        if record.state is PluginState.FAILED:
            assert str(record.error).startswith(f"'deploy' of {record.distribution} 1.0 has the same name")


def test_a_distribution_with_a_similar_name_is_not_the_projects_own(install: Install, group: str) -> None:
    for distribution in ("maas-mcp-deployer", "acme-maas-mcp-deploy"):
        install("deploy", tools("maas_deploy"), distribution=distribution)
    assert not load_registry(group=group).tools


# The import


def test_the_error_of_a_failed_import_names_the_line(failure: Failure) -> None:
    error = failure("def deeper():\n    raise RuntimeError('no\\nlicence')\ndeeper()")
    assert error.startswith("RuntimeError: no licence (")
    assert cited(error) == r"raise RuntimeError('no\nlicence')"


def test_a_plugin_that_exits_at_import_affects_no_other(failure: Failure) -> None:
    assert failure("import sys\nsys.exit(3)").startswith("SystemExit: 3 (")
    assert failure("class Skipped(BaseException): pass\nraise Skipped('why')", "two").startswith("Skipped: why (")
    assert failure("import asyncio\nraise asyncio.CancelledError", "three").startswith("CancelledError (")


def test_a_plugin_that_asserts_at_import_affects_no_other(failure: Failure) -> None:
    assert failure("assert False").startswith("AssertionError (")


def test_the_error_of_a_missing_dependency_names_it(failure: Failure) -> None:
    assert "ModuleNotFoundError: No module named 'acme_is_not_installed' (" in failure("import acme_is_not_installed")


def test_a_syntax_error_names_its_line(failure: Failure) -> None:
    error = failure("def (:")
    assert error.startswith("SyntaxError: invalid syntax (")
    assert cited(error) == "def (:"


@pytest.mark.parametrize("value", ["acme_no_such_module", "{module}:missing", "not a module!"])
def test_a_broken_entry_point_affects_no_other_plugin(failure: Failure, value: str) -> None:
    assert "Error: " in failure("", value=value)


def test_an_unprintable_exception_affects_no_other_plugin(failure: Failure) -> None:
    assert failure("class Mute(Exception):\n    def __str__(self):\n        return 1 / 0\nraise Mute").startswith(
        "Mute ("
    )


def test_a_very_long_error_is_shortened(failure: Failure) -> None:
    assert len(failure("raise RuntimeError('x' * 10_000)")) < 1000


@pytest.mark.parametrize(
    "code",
    [
        "raise KeyboardInterrupt",
        "@hookimpl\ndef maas_mcp_tools():\n    raise KeyboardInterrupt\n",
        (
            "class Picky(tool('maas_picky')):\n    def __init__(self):\n        raise KeyboardInterrupt\n"
            "@hookimpl\ndef maas_mcp_tools():\n    return [Picky]\n"
        ),
    ],
    ids=["imported", "asked", "made"],
)
def test_a_keyboard_interrupt_raised_by_a_plugin_affects_no_other(failure: Failure, code: str) -> None:
    assert failure(code).startswith("KeyboardInterrupt (")


CTRL_C = "__import__('signal').raise_signal(2)\n"


@pytest.mark.parametrize(
    ("code", "doing"),
    [
        (CTRL_C, "importing"),
        (
            f"try:\n    {CTRL_C}except BaseException:\n    pass\n",
            "importing",
        ),
        (f"try:\n    {CTRL_C}finally:\n    1 / 0\n", "importing"),
        (f"@hookimpl\ndef maas_mcp_tools():\n    {CTRL_C}", "asking"),
    ],
    ids=["passed on", "swallowed", "made into something else", "in a hook"],
)
@pytest.mark.usefixtures("good")
def test_ctrl_c_stops_everything_and_names_the_plugin(
    install: Install, group: str, caplog: pytest.LogCaptureFixture, code: str, doing: str
) -> None:
    module = install("rescue", code)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load_registry(group=group)
    assert signal.getsignal(signal.SIGINT) is before
    (said,) = caplog.messages
    assert said.startswith(f"Interrupted while {doing} {module} ")
    assert said.endswith("(plugin 'rescue' of acme-rescue 1.0)")


def test_an_ignored_sigint_stays_ignored(install: Install, group: str) -> None:
    install("rescue", CTRL_C + tools("maas_ping"))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert list(load_registry(group=group).tools) == ["maas_ping"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_plugins_can_be_loaded_outside_the_main_thread(install: Install, group: str) -> None:
    install("rescue", tools("maas_ping"))
    with ThreadPoolExecutor(1) as pool:
        assert list(pool.submit(load_registry, group=group).result().tools) == ["maas_ping"]


@pytest.mark.parametrize(
    ("code", "doing"),
    [
        ("{wait}\n" + tools("maas_ping"), "importing"),
        ("@hookimpl\ndef maas_mcp_tools():\n    {wait}\n    return [tool('maas_ping')]\n", "asking"),
    ],
)
def test_a_slow_import_is_logged_while_it_runs(
    install: Install, group: str, monkeypatch: pytest.MonkeyPatch, code: str, doing: str
) -> None:
    named: queue.Queue[str] = queue.Queue()

    class Received(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named.put(record.getMessage())

    def wait() -> None:
        named.put(named.get(timeout=30))

    monkeypatch.setattr(import_watch, "SLOW", 0.0)
    monkeypatch.setattr(logging, "acme_waits", wait, raising=False)
    received = Received()
    logging.getLogger("maas_mcp.plugins").addHandler(received)
    try:
        module = install("rescue", code.replace("{wait}", "import logging; logging.acme_waits()"))
        assert list(load_registry(group=group).tools) == ["maas_ping"]
    finally:
        logging.getLogger("maas_mcp.plugins").removeHandler(received)
    assert f"Still {doing} {module} " in " ".join(named.get() for _ in range(named.qsize()))


def test_a_fast_import_is_not_logged(install: Install, group: str, caplog: pytest.LogCaptureFixture) -> None:
    module = install("rescue", tools("maas_ping"))
    load_registry(group=group)
    # A timer of the test before may still run.
    assert [message for message in caplog.messages if module in message] == []


def test_the_traceback_is_in_the_log_at_debug_level(failure: Failure, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "maas_mcp")
    error = failure("raise RuntimeError('no licence')")
    entries = [
        entry for entry in caplog.records if "broken" in entry.getMessage() and entry.name.startswith("maas_mcp")
    ]
    shown, traced = entries
    assert shown.levelno == logging.ERROR
    assert error in shown.getMessage()
    assert shown.exc_info is None
    assert (traced.levelno, bool(traced.exc_info)) == (logging.DEBUG, True)


# Hooks


def test_a_misspelt_hook_is_rejected_with_the_right_spelling(failure: Failure) -> None:
    error = failure("@hookimpl\ndef maas_mcp_operation():\n    return []\n")
    assert error == (
        f"There is no hook 'maas_mcp_operation'. Expected {' or '.join(ALL_HOOKS)}. Did you mean 'maas_mcp_operations'?"
    )


def test_a_hook_with_an_unknown_argument_is_rejected(failure: Failure) -> None:
    error = failure("@hookimpl\ndef maas_mcp_tools(config):\n    return []\n")
    assert "{'config'}" in error
    assert "Expected the arguments of maas_mcp.hookspecs." in error


def test_an_unmarked_hook_is_named(failure: Failure) -> None:
    error = failure("def maas_mcp_tools():\n    return []\n")
    assert error.startswith("maas_mcp_tools in ")
    assert "Write `@hookimpl`" in error


def test_an_unmarked_hook_next_to_a_marked_one_is_named(failure: Failure) -> None:
    error = failure(tools("maas_ping") + "def maas_mcp_operations():\n    return []\n")
    assert error.startswith("maas_mcp_operations in ")


def test_a_plugin_without_any_hook_is_rejected(failure: Failure) -> None:
    error = failure("")
    assert "implements no hook. Expected maas_mcp_operations or maas_mcp_tools or " in error


def test_a_plugin_may_only_observe(install: Install, group: str) -> None:
    install("watch", "seen = []\n@hookimpl\ndef maas_mcp_operation_changed(change):\n    seen.append(change)\n")

    registry = load_registry(group=group, strict=True)

    assert not registry.tools
    ((name, show),) = registry.observers.items()
    assert name.startswith("'watch' of ")
    show("a change")  # type: ignore[arg-type] # passed on unchanged


def test_an_observer_that_is_a_coroutine_function_is_rejected(failure: Failure) -> None:
    error = failure("@hookimpl\nasync def maas_mcp_operation_changed(change):\n    pass\n")
    assert error.startswith("maas_mcp_operation_changed() is a coroutine function. Expected a plain function.")


def test_a_hook_wrapper_is_rejected(failure: Failure) -> None:
    error = failure("@hookimpl(wrapper=True)\ndef maas_mcp_tools():\n    return (yield)\n")
    assert error.startswith("It has a hook wrapper.")


# Return values of hooks


def test_a_hook_that_raises_affects_no_other_plugin(failure: Failure) -> None:
    error = failure("@hookimpl\ndef maas_mcp_tools():\n    raise KeyError('x')\n")
    assert error.startswith("KeyError: 'x' (")
    assert cited(error) == "raise KeyError('x')"


def test_a_hook_that_exits_affects_no_other_plugin(failure: Failure) -> None:
    assert failure("@hookimpl\ndef maas_mcp_tools():\n    raise SystemExit\n").startswith("SystemExit (")
    code = "@hookimpl\ndef maas_mcp_tools():\n    raise BaseException('odd')\n"
    assert failure(code, "odd").startswith("BaseException: odd (")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("pass", "nothing"),
        ("return 'maas_ping'", "an object of type str"),
        ("return tool('maas_ping')", "the class Read"),
        ("yield tool('maas_ping')", "an object of type generator"),
        ("return {tool('maas_ping')}", "an object of type set"),
    ],
)
def test_a_hook_must_return_a_list(failure: Failure, body: str, what: str) -> None:
    error = failure(f"@hookimpl\ndef maas_mcp_tools():\n    {body}\n")
    assert error == (
        f"maas_mcp_tools() returned {what}. Expected a list of Tool classes. "
        "Write `def maas_mcp_tools(): return [YourClass]`."
    )


def test_a_hook_must_be_a_plain_function(failure: Failure) -> None:
    error = failure("@hookimpl\nasync def maas_mcp_tools():\n    return []\n")
    assert error.startswith("maas_mcp_tools() returned an object of type coroutine. Expected a list")


def test_an_instance_instead_of_a_class_is_rejected(failure: Failure) -> None:
    error = failure("@hookimpl\ndef maas_mcp_tools():\n    return [tool('maas_ping')()]\n")
    assert error == (
        "maas_mcp_tools() returned an object of type Read in its list. Expected Tool classes. Return Read, not Read()."
    )


def test_an_object_instead_of_a_class_is_rejected(failure: Failure) -> None:
    error = failure("@hookimpl\ndef maas_mcp_tools():\n    return [None]\n")
    assert error == "maas_mcp_tools() returned nothing in its list. Expected Tool classes. Return your class."


def test_a_class_that_is_not_a_tool_is_rejected(failure: Failure) -> None:
    error = failure("@hookimpl\ndef maas_mcp_tools():\n    return [Nothing]\n")
    assert error.endswith("Expected subclasses of Tool. Write `class Nothing(Tool[…, …])`.")


def test_the_error_for_an_operation_among_the_tools_names_its_hook(failure: Failure) -> None:
    error = failure("@hookimpl\ndef maas_mcp_tools():\n    return [operation('maas_deploy')]\n")
    assert error.endswith("Expected subclasses of Tool. Return it from maas_mcp_operations().")


def test_the_error_for_a_tool_among_the_operations_names_its_hook(failure: Failure) -> None:
    error = failure("@hookimpl\ndef maas_mcp_operations():\n    return [tool('maas_ping')]\n")
    assert error.endswith("Expected subclasses of Operation. Return it from maas_mcp_tools().")


def test_a_tool_without_its_method_is_rejected(failure: Failure) -> None:
    error = failure(
        "class Half(Tool[Nothing, Nothing]):\n    name = 'maas_half'\n"
        "@hookimpl\ndef maas_mcp_tools():\n    return [Half]\n"
    )
    assert error.endswith("the class Half, which is abstract. Expected a concrete class. Define run.")


@pytest.mark.parametrize("body", ["pass", "name = ''", "name = None"])
@pytest.mark.parametrize(
    ("hook", "base"),
    [
        ("maas_mcp_tools", "Tool[Nothing, Nothing]"),
        ("maas_mcp_operations", "Operation[Which, Nothing]"),
    ],
)
def test_a_tool_without_a_name_is_rejected(failure: Failure, body: str, hook: str, base: str) -> None:
    error = failure(
        f"class Bare({base}):\n    'Bare.'\n    {body}\n"
        "    async def run(self, ctx, args): pass\n    start = result = run\n"
        f"@hookimpl\ndef {hook}():\n    return [Bare]\n"
    )
    if body == "name = None":
        assert "Bare.name: expected a string, but it is None. Write `name = " in error
    else:
        assert error == (
            f"{hook}() returned the class Bare, which has no name. Expected the tool's name. "
            'Write `name = "acme_do_something"` in the class.'
        )


def test_a_direct_subclass_of_long_running_is_rejected(failure: Failure) -> None:
    error = failure(
        "from maas_mcp.api import LongRunning\nclass Bare(LongRunning[Nothing, Nothing]):\n    'Bare.'\n"
        "    name = 'maas_bare'\n@hookimpl\ndef maas_mcp_operations():\n    return [Bare]\n"
    )
    assert error.endswith(
        "Expected a subclass of Operation or BatchOperation or RegionOperation. Subclass one of them."
    )


LIFECYCLE = "Lifecycle(start_from={MachineStatus.READY}, pending={MachineStatus.DEPLOYING}, "


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("deadline = 30", "Odd.deadline: expected a positive timedelta, but it is 30. Write `deadline = "),
        ("polling = Counting", "Odd.polling: expected an instance, but it is the class Counting. Write `Counting()`."),
        ("polling = Counting()", "Counting.measure: expected a plain function, but it is an async one"),
        ("on_cancel = 'abort'", "Odd.on_cancel: expected a CancelPolicy, but it is 'abort'. Write `on_cancel = Cancel"),
        (
            f"lifecycle = {LIFECYCLE}success={{'Rescue mode'}})",
            "`success`: expected a set of MachineStatus, but 'Rescue mode' is in it. Write `S.RESCUE_MODE`",
        ),
        ("async def summary(self, result): pass", "Odd.summary: expected a plain function, but it is an async one"),
        ("async def system_id(self, args): pass", "Odd.system_id: expected a plain function, but it is an async one"),
    ],
)
def test_an_invalid_declaration_fails_when_the_plugin_is_loaded(failure: Failure, line: str, said: str) -> None:
    error = failure(
        "from maas_mcp.api import PollingStrategy\n"
        "class Counting(PollingStrategy):\n    async def measure(self, evidence, observation): pass\n"
        f"class Odd(operation('maas_odd')):\n    {line}\n"
    )
    assert error.startswith(f"TypeError: {'Lifecycle: ' if 'lifecycle' in line else ''}{said}")
    assert cited(error)


def test_a_tool_that_cannot_be_instantiated_affects_no_other_plugin(failure: Failure) -> None:
    error = failure(
        "class Picky(tool('maas_picky')):\n    def __init__(self):\n        raise OSError('no disk')\n"
        "@hookimpl\ndef maas_mcp_tools():\n    return [Picky]\n"
    )
    assert error.startswith("OSError: no disk (")


# Tool names


@pytest.mark.parametrize("name", ["ping", "Maas_ping", "maas-ping", "maas_p\u00efng", "maas_" + "x" * 60, "acme_ping"])
def test_a_tool_whose_name_breaks_the_rules_is_rejected(failure: Failure, name: str) -> None:
    error = failure(tools(name), plugin="my-pack")
    assert error.startswith(f"A tool is named {name!r}. ")
    assert "starting with maas_ or my_pack_." in error


def test_a_tool_may_be_named_after_its_plugin(install: Install, group: str) -> None:
    install("my-pack", tools("my_pack_ping", "maas_" + "x" * 59))
    assert len(load_registry(group=group).tools) == 2


def test_a_duplicate_tool_name_in_a_plugin_is_rejected(failure: Failure) -> None:
    assert failure(tools("maas_ping", "maas_ping")).startswith("2 of its tools are named maas_ping.")


def test_a_plugin_with_another_plugins_tool_name_fails(failure: Failure) -> None:
    error = failure(tools("maas_unique", "maas_good"), plugin="later")
    assert "'later' of acme-later 1.0 has a tool named maas_good, and 'good' of acme-good 1.0 has one too." in error


def test_no_plugin_replaces_a_tool_of_the_project(install: Install, group: str) -> None:
    install("aardvark", tools("maas_deploy"), distribution="maas-mcp-aardvark")
    install("deploy", tools("maas_deploy"), distribution="maas-mcp-deploy")
    registry = load_registry(group=group)
    assert [record.state for record in registry.records] == [PluginState.FAILED, PluginState.LOADED]


@pytest.mark.parametrize("name", sorted(tool.name for tool in OPERATION_TOOLS))
def test_no_plugin_replaces_a_tool_of_the_server(failure: Failure, name: str) -> None:
    assert "and the server itself has one too" in failure(tools(name))


# Tools that cannot be published

UNSHOWABLE = """
from collections.abc import Callable
from pydantic import ConfigDict, Field, RootModel

class Called(BaseModel):
    back: Callable[[int], int] | None = None

class Node(BaseModel):
    children: list["Node"] = []

class Names(RootModel[list[str]]):
    pass

def taking(arguments, result, **attributes):
    async def run(self, ctx, args):
        return args
    body = {{"name": "broken_tool", "run": run, "__doc__": "Break.", **attributes}}
    return __import__("types").new_class("Broken", (Tool[arguments, result],), {{}}, lambda space: space.update(body))

@hookimpl
def maas_mcp_tools():
    return [taking({0})]
"""


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("Called, Nothing", "cannot be published to clients"),
        ("Node, Nothing", "Node contains itself"),
        ("Nothing, Node", "Node contains itself"),
        ("Names, Nothing", "a RootModel"),
        ("Nothing, Nothing, title=5", "`title`. Expected a str"),
        ("Nothing, Nothing, offers=['machine lock']", "`offers`. Expected a str"),
        ("Nothing, Nothing, read_only='yes'", "`read_only`. Expected a bool"),
        ("Nothing, Nothing, title='half \\ud83d'", "cannot be published to clients"),
    ],
)
def test_a_tool_that_cannot_be_published_is_not_loaded(failure: Failure, declared: str, said: str) -> None:
    assert said in failure(UNSHOWABLE.format(declared))


def test_an_operation_must_not_define_the_hosts_arguments(failure: Failure) -> None:
    code = """
class Which(BaseModel):
    system_id: SystemId
    pause: int = Field(3, alias="wait_seconds")
    on_cancel: str = "x"

class Broken(Operation[Which, Nothing]):
    "Break."
    name = "broken_tool"
    lifecycle = operation("x").lifecycle
    async def start(self, ctx, args):
        pass
    async def result(self, ctx):
        return Nothing()

@hookimpl
def maas_mcp_operations():
    return [Broken]
"""
    error = failure("from pydantic import Field\n" + code)
    assert "has an argument on_cancel or wait_seconds, which the host adds to the tool" in error


def test_the_hosts_arguments_match_the_call_options() -> None:
    assert {*input_schema(CallOptions)["properties"]} == {*CALL_OPTIONS, *PLAN_OPTIONS, REGION_OPTION}


# Strict


def test_a_strict_registry_names_every_unusable_plugin(install: Install, group: str) -> None:
    install("one", "raise RuntimeError('first')")
    install("two", "raise RuntimeError('second')")
    with pytest.raises(PluginError, match=r"one of acme-one: RuntimeError: first .* two of acme-two: .*second"):
        load_registry(group=group, strict=True)


@pytest.mark.usefixtures("good")
def test_a_strict_registry_accepts_blocked_plugins(install: Install, group: str) -> None:
    install("one", "raise RuntimeError('first')")
    assert list(load_registry(group=group, block=["one"], strict=True).tools) == ["maas_good"]
