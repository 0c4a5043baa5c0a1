"""The tier of a call depends on its effects and on the machines as they are now."""

import pytest

from maas_mcp.maas.models import Machine
from maas_mcp.maas.statuses import MachineStatus as S
from maas_mcp.operations.declaring.effects import Effects
from maas_mcp.policy.tiers import Tier, in_use, lowest_tier, tier_of

DESTROYS = Effects(("7xneda",), destroys=True)


def machine(status: int, owner: str | None = None) -> Machine:
    return Machine.model_validate({"system_id": "7xneda", "hostname": "web01", "status": status, "owner": owner})


@pytest.mark.parametrize(
    ("status", "owner", "tier"),
    [
        (S.READY, None, Tier.OPERATE),
        (S.NEW, None, Tier.OPERATE),
        (S.BROKEN, None, Tier.OPERATE),
        (S.ALLOCATED, "ada", Tier.OPERATE),
        (S.DEPLOYING, "ada", Tier.OPERATE),
        (S.FAILED_DEPLOYMENT, "ada", Tier.OPERATE),
        (S.DEPLOYED, "ada", Tier.DESTROY),
        (S.BROKEN, "ada", Tier.DESTROY),
        (S.TESTING, "ada", Tier.DESTROY),
        (S.RESCUE_MODE, "ada", Tier.DESTROY),
        (S.DISK_ERASING, "ada", Tier.DESTROY),
        (S.ALLOCATED, "bob", Tier.DESTROY),
        (S.READY, "bob", Tier.DESTROY),
        (99, None, Tier.DESTROY),
    ],
)
def test_a_destructive_call_destroys_only_if_the_machine_is_in_use(status: int, owner: str | None, tier: Tier) -> None:
    assert tier_of(DESTROYS, [machine(status, owner)], "ada") is tier


def test_a_machine_with_an_owner_is_in_use_if_the_caller_is_unknown() -> None:
    assert in_use(machine(S.ALLOCATED, "ada"), None)


def test_one_machine_in_use_makes_the_whole_call_destroy() -> None:
    assert tier_of(DESTROYS, [machine(S.READY), machine(S.DEPLOYED, "ada")], "ada") is Tier.DESTROY


@pytest.mark.parametrize(
    ("effects", "tier"),
    [
        (Effects(changes=False), Tier.READ),
        (Effects(("7xneda",)), Tier.OPERATE),
        (Effects(("7xneda",), destroys=True, erases=True), Tier.DESTROY),
        (Effects(("7xneda",), destroys_idle=True), Tier.DESTROY),
        (Effects(destroys=True), Tier.DESTROY),
        (Effects(destroys=True, allocates=2), Tier.OPERATE),
    ],
)
def test_the_effects_alone_decide_on_an_idle_machine(effects: Effects, tier: Tier) -> None:
    assert tier_of(effects, [machine(S.READY)] if effects.machines else [], "ada") is tier
    assert tier.includes(lowest_tier(effects))


def test_each_tier_includes_the_ones_before_it() -> None:
    assert [[tier.includes(other) for other in Tier] for tier in Tier] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
