"""The message after Ctrl-C."""

from mcp_types import Tool, ToolAnnotations

from maas_mcp.cli.call import interruption_message

SERVED = ("maas_get_machine", "maas_list_operations")


def tool(name: str, *, read_only: bool = False) -> Tool:
    return Tool(name=name, input_schema={"type": "object"}, annotations=ToolAnnotations(read_only_hint=read_only))


def test_after_an_operation_on_a_machine_the_message_suggests_reading_the_machine() -> None:
    assert interruption_message(tool("maas_deploy_machine"), {"system_id": "4y3h7n"}, SERVED) == (
        "Interrupted: stopped following maas_deploy_machine. The operation continues in MAAS. "
        "Run `maas-mcp call maas_get_machine system_id=4y3h7n` to see its status."
    )


def test_after_any_other_operation_the_message_suggests_listing_operations() -> None:
    for name, arguments in {"maas_import_images": {}, "maas_deploy_machines": {"tags": ["gpu"]}}.items():
        message = interruption_message(tool(name), arguments, SERVED)
        assert message.endswith(". Run `maas-mcp call maas_list_operations` to see its status.")


def test_the_message_suggests_no_tool_that_the_server_does_not_have() -> None:
    message = interruption_message(tool("maas_deploy_machine"), {"system_id": "4y3h7n"}, ["maas_list_operations"])
    assert message.endswith(". Run `maas-mcp call maas_list_operations` to see its status.")


def test_the_message_says_that_the_operation_is_aborted_if_the_call_requested_it() -> None:
    arguments = {"system_id": "4y3h7n", "on_cancel": "abort"}
    message = interruption_message(tool("maas_deploy_machine"), arguments, SERVED)
    assert "maas-mcp asks MAAS to abort the operation. " in message


def test_a_call_that_waits_for_an_answer_has_not_started_an_operation() -> None:
    message = interruption_message(tool("maas_power_cycle"), {"system_id": "4y3h7n"}, SERVED, asking=True)
    assert message == "Interrupted: maas_power_cycle was waiting for your answer, and did not go on."


def test_without_an_operation_the_message_suggests_nothing() -> None:
    assert interruption_message(tool("maas_list_machines", read_only=True), {"limit": 5}, SERVED) == "Interrupted."
    assert interruption_message(None, {}, ()) == "Interrupted before anything was sent to MAAS."
