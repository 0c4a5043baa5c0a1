"""What an error says of the request that failed."""

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
def test_only_a_refusal_or_a_request_that_was_never_sent_leaves_no_doubt(
    error: MaasError, *, may_have_acted: bool
) -> None:
    assert error.may_have_acted is may_have_acted
