"""An import brings new versions, file by file."""

from typing import Any

import pytest


def test_only_a_single_image_shows_its_versions(admin: Any) -> None:
    listed = admin.get("boot-resources/?type=synced").json()
    one = admin.get("boot-resources/7/").json()

    series = ["centos/centos70", *["ubuntu/jammy"] * 2, *["ubuntu/noble"] * 4]
    assert [each["name"] for each in listed] == series
    assert one.pop("sets")["20260401"]["complete"] is True
    assert one == listed[0]


def test_the_error_for_an_unknown_type_lists_the_types(admin: Any) -> None:
    refused = admin.get("boot-resources/?type=bogus")

    message = "'bogus' is not a valid boot resource type. Available types: ['synced', 'uploaded']"
    assert (refused.status_code, refused.text) == (400, message)


def test_an_import_completes_one_file_after_the_other(admin: Any, clock: Any) -> None:
    answer = admin.post("boot-resources/?op=import")
    assert (answer.text, answer.headers["content-type"]) == (
        "Import of boot resources started",
        "text/plain; charset=utf-8",
    )
    assert admin.get("boot-resources/?op=is_importing").json() is True

    clock.pass_(25)
    sets = list(admin.get("boot-resources/1/").json()["sets"].values())
    assert [each["complete"] for each in sets] == [False, True]
    assert 0 < sets[0]["progress"] < 100
    assert [each["complete"] for each in sets[0]["files"].values()] == [True, True, False]

    clock.pass_(600)
    assert admin.get("boot-resources/?op=is_importing").json() is False
    (newest,) = admin.get("boot-resources/1/").json()["sets"].values()
    assert newest["complete"] is True


def test_a_stopped_import_can_be_restarted(admin: Any, clock: Any) -> None:
    admin.post("boot-resources/?op=import")
    clock.pass_(25)
    assert admin.post("boot-resources/?op=stop_import").text == "Import of boot resources is being stopped"
    clock.pass_(600)
    newest = max(admin.get("boot-resources/1/").json()["sets"].items())[1]
    assert newest["complete"] is False

    admin.post("boot-resources/?op=import")
    clock.pass_(600)
    assert len(admin.get("boot-resources/1/").json()["sets"]) == 1


@pytest.mark.parametrize("op", ["import", "stop_import"])
def test_importing_is_for_superusers(bob: Any, op: str) -> None:
    refused = bob.post(f"boot-resources/?op={op}")

    assert (refused.status_code, refused.text) == (403, "This method is reserved for admin users.")
