"""Operation ids: short, signed, and rejected without a reason if they are invalid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.errors import UnknownOperationError
from maas_mcp.operations.handles import LIFETIME, Handle, HandleSigner

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_795_337_829.0
HANDLE = Handle("maas_deploy_machine", "4y3h7n", int(NOW), 544, (27,))


def signer(secret: bytes = SECRET, principal: str = "kim", now: float = NOW) -> HandleSigner:
    return HandleSigner([secret], principal, lambda: now)


HANDLES = st.builds(
    Handle,
    operation=st.from_regex(r"[a-zA-Z0-9_]{1,64}", fullmatch=True),
    system_id=st.from_regex(r"[a-z0-9]{1,41}", fullmatch=True),
    started=st.integers(int(NOW) - 1000, int(NOW)),
    cursor=st.integers(0, 2**40),
    runs=st.lists(st.none() | st.integers(0, 2**31), max_size=3).map(tuple),
    on_vm_host=st.booleans(),
    reached=st.booleans(),
)


@given(HANDLES)
def test_a_handle_survives_a_round_trip(handle: Handle) -> None:
    assert signer().verify(signer().sign(handle)) == handle


def test_a_handle_is_short() -> None:
    assert len(signer().sign(HANDLE)) < 70


@given(st.text(max_size=300))
def test_any_other_text_is_rejected(text: str) -> None:
    with pytest.raises(UnknownOperationError):
        signer().verify(text)


@given(st.integers(0, 100), st.characters(codec="ascii"))
def test_a_handle_with_one_changed_character_is_rejected(position: int, character: str) -> None:
    text = signer().sign(HANDLE)
    position %= len(text)
    changed = text[:position] + character + text[position + 1 :]
    if changed == text:
        return

    with pytest.raises(UnknownOperationError):
        signer().verify(changed)


def test_forged_foreign_expired_and_truncated_handles_are_rejected_with_the_same_message() -> None:
    text = signer().sign(HANDLE)
    refused = [
        (signer(secret=b"another secret, of the same size"), text),
        (signer(principal="bob"), text),
        (signer(now=NOW + LIFETIME + 1), text),
        (signer(), text[:-1]),
        (signer(), text.rpartition(".")[0] + "."),
        (signer(), text.replace("4y3h7n", "4y3h7m")),
    ]
    said = set()
    for each, given_ in refused:
        with pytest.raises(UnknownOperationError) as refusal:
            each.verify(given_)
        said.add((refusal.value.message, refusal.value.hint))

    assert len(said) == 1


OLD, NEW = b"the secret that is being dropped", b"the secret that takes its place."


def test_the_first_secret_signs_and_all_secrets_verify() -> None:
    old, both, new = (HandleSigner(secrets, "kim", lambda: NOW) for secrets in ([OLD], [NEW, OLD], [NEW]))

    assert both.sign(HANDLE) == new.sign(HANDLE)
    assert both.verify(old.sign(HANDLE)) == both.verify(new.sign(HANDLE)) == HANDLE
    for signed_by, other in ((both, old), (old, new)):
        with pytest.raises(UnknownOperationError):
            other.verify(signed_by.sign(HANDLE))
