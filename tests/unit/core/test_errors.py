"""The properties of errors about the failed request."""

import pytest

from maas_mcp.errors import (
    MaasAuthError,
    MaasBadRequestError,
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasPermissionError,
    MaasProtocolError,
    MaasTlsError,
    MaasUnavailableError,
)
from maas_mcp.next_step import NextStep


@pytest.mark.parametrize(
    ("error", "may_have_acted"),
    [
        (MaasAuthError("401"), False),
        (MaasPermissionError("403"), False),
        (MaasNotFoundError("404"), False),
        (MaasConflictError("409"), False),
        (MaasBadRequestError("400"), False),
        (MaasTlsError("no TLS", sent=False), False),
        (MaasUnavailableError("refused the connection", sent=False), False),
        (MaasUnavailableError("504"), True),
        (MaasProtocolError("a login page"), True),
        (MaasError("500"), True),
    ],
    ids=str,
)
def test_only_refused_and_unsent_requests_are_certain_not_to_have_acted(
    error: MaasError, *, may_have_acted: bool
) -> None:
    assert error.may_have_acted is may_have_acted


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}], ids=["object", "nan", "set"])
def test_a_next_step_rejects_arguments_that_are_not_json(value: object) -> None:
    with pytest.raises(TypeError, match="expected JSON values"):
        NextStep("acme_read", {"which": value}, why="Read it")
