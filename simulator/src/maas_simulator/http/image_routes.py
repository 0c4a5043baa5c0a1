"""Handlers for images, as recorded from MAAS 3.7.3, except ``import`` and ``stop_import``.

Those two were not recorded; their messages come from MAAS's API reference.
"""

from datetime import UTC, datetime
from hashlib import sha256

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.resources import DELETED, check_admin, read_id
from maas_simulator.model.fields import REQUIRED, Invalid, one_of
from maas_simulator.model.forms import last
from maas_simulator.model.images import ImageFile, ImageResource
from maas_simulator.model.networks import API
from maas_simulator.model.refusals import TEXT, Refusal, not_found, not_simulated, refused_form


def list_images(call: Call) -> Answer:
    """The images without their versions, optionally of one ``type``."""
    kind = last(call.query, "type")
    if kind not in ("", "all", "synced", "uploaded"):
        message = f"'{kind}' is not a valid boot resource type. Available types: ['synced', 'uploaded']"
        raise Refusal(400, message)
    wanted = [each for each in call.region.images.resources if kind in ("", "all", _type(each).lower())]
    return Answer([_json(each) for each in wanted])


def read_image(call: Call) -> Answer:
    """One image with its versions."""
    number = read_id(call.parts[0])
    for each in call.region.images.resources:
        if each.id == number:
            return Answer(_json(each) | {"sets": {name: _set(name, each) for name in reversed(each.versions)}})
    raise not_found("BootResource")


def upload_image(call: Call) -> Answer:
    """Upload an image, for superusers. Only the checks of the parameters are simulated."""
    check_admin(call)
    errors = {name: [REQUIRED] for name in ("name", "architecture") if not last(call.form, name)}
    known = sorted({f"{each.architecture}/generic" for each in call.region.images.resources})
    try:
        one_of("architecture", *known)(call.region.tables, last(call.form, "architecture") or known[0])
    except Invalid as wrong:
        errors["architecture"] = list(wrong.args)
    if "content" not in call.form:
        errors |= {name: [REQUIRED] for name in ("sha256", "size") if not last(call.form, name)}
    if errors:
        raise refused_form(errors)
    raise not_simulated("uploading images")


def delete_image(call: Call) -> Answer:
    """Delete an image, for superusers."""
    check_admin(call)
    images = call.region.images
    number = read_id(call.parts[0])
    kept = [each for each in images.resources if each.id != number]
    if kept == images.resources:
        raise Refusal(500, "BootResource matching query does not exist.")
    images.resources = kept
    images.names = [name for name in images.names if any(each.name == name for each in kept)]
    return DELETED


def is_importing(call: Call) -> Answer:
    """Whether an import is running."""
    return Answer(call.region.images.importing)


def start_import(call: Call) -> Answer:
    """Start an import, for superusers."""
    check_admin(call)
    call.region.images.start()
    return Answer(text="Import of boot resources started", content_type=TEXT)


def stop_import(call: Call) -> Answer:
    """Stop the import, for superusers."""
    check_admin(call)
    call.region.images.stop()
    return Answer(text="Import of boot resources is being stopped", content_type=TEXT)


def _type(resource: ImageResource) -> str:
    return "Uploaded" if resource.uploaded else "Synced"


def _json(resource: ImageResource) -> dict[str, object]:
    return {
        "id": resource.id,
        "type": _type(resource),
        "name": resource.name.removeprefix("custom/"),
        "architecture": f"{resource.architecture}/{resource.kernel}",
        "resource_uri": f"{API}/boot-resources/{resource.id}/",
        "last_deployed": _moment(resource.last_deployed),
        **resource.description,
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _set(version: str, resource: ImageResource) -> dict[str, object]:
    """Show a version. It has ``progress``, a percentage, until all its files are complete."""
    files = resource.versions[version]
    size = sum(file.size for file in files.values())
    there = sum(file.size for file in files.values() if file.complete)
    shown = {"version": version, "label": "stable", "size": size, "complete": there == size}
    if there < size:
        shown["progress"] = 100.0 * there / size
    return shown | {"files": {name: _file(name, file, version) for name, file in files.items()}}


def _file(name: str, file: ImageFile, version: str) -> dict[str, object]:
    digest = sha256(f"{version} {name}".encode()).hexdigest()
    shown: dict[str, object] = {"filename": name, "filetype": name, "sha256": digest, "filename_on_disk": digest[:7]}
    shown |= {"size": file.size, "complete": file.complete}
    return shown if file.complete else shown | {"progress": 0.0}
