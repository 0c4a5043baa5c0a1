"""What somebody is told who has interrupted a call."""

from mcp_types import Tool, ToolAnnotations

from maas_mcp.cli.call import after_interruption


def tool(name: str, *, read_only: bool = False) -> Tool:
    return Tool(name=name, input_schema={"type": "object"}, annotations=ToolAnnotations(read_only_hint=read_only))


def test_after_an_operation_of_a_machine_that_machine_is_to_be_looked_at() -> None:
    assert after_interruption(tool("maas_deploy_machine"), {"system_id": "4y3h7n"}) == (
        "Interrupted: maas_deploy_machine is no longer followed. The operation continues in MAAS; "
        "`maas-mcp call maas_get_machine system_id=4y3h7n` shows its status."
    )


def test_after_any_other_operation_the_operations_are() -> None:
    for name, arguments in {"maas_import_images": {}, "maas_deploy_machines": {"tags": ["gpu"]}}.items():
        said = after_interruption(tool(name), arguments)
        assert said.endswith("; `maas-mcp call maas_list_operations` shows its status.")


def test_after_a_call_that_aborts_when_it_is_cancelled_maas_does_not_go_on() -> None:
    said = after_interruption(tool("maas_deploy_machine"), {"system_id": "4y3h7n", "on_cancel": "abort"})
    assert "maas-mcp asks MAAS to abort the operation; " in said


def test_after_a_call_that_only_reads_and_before_any_there_is_nothing_to_look_at() -> None:
    assert after_interruption(tool("maas_list_machines", read_only=True), {"limit": 5}) == "Interrupted."
    assert after_interruption(None, {}) == "Interrupted before anything was sent to MAAS."
