"""Handlers for images, as recorded from MAAS 3.7.3, except ``import`` and ``stop_import``.

Those two were not recorded; their messages come from MAAS's API reference.
"""

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Final

from maas_simulator.http.calls import Answer, Call, route
from maas_simulator.http.resources import DELETED, check_admin, read_id
from maas_simulator.model.fields import Field, RecordForm, one_of, text
from maas_simulator.model.forms import last
from maas_simulator.model.images import ImageFile, ImageResource
from maas_simulator.model.networks import API
from maas_simulator.model.refusals import TEXT, Refusal, not_found, not_simulated
from maas_simulator.model.scripts import JSON, iso_date


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
            sets = {version: _set(version, each.versions[version]) for version in reversed(each.versions)}
            return Answer({**_json(each), "sets": sets})
    raise not_found("BootResource")


def upload_image(call: Call) -> Answer:
    """Upload an image, for superusers. Only the checks of the parameters are simulated."""
    check_admin(call)
    names = ("name",) if "content" in call.form else ("name", "sha256", "size")
    architecture = one_of("architecture", *call.region.images.architectures)
    form = (Field("architecture", architecture, required=True), *(Field(name, text(), required=True) for name in names))
    RecordForm("Boot resource", *form).clean(call.region.tables, call.form, None)
    raise not_simulated("uploading images")


def delete_image(call: Call) -> Answer:
    """Delete an image, for superusers."""
    check_admin(call)
    images, number = call.region.images, read_id(call.parts[0])
    if all(each.id != number for each in images.resources):
        raise Refusal(500, "BootResource matching query does not exist.")
    images.resources = [each for each in images.resources if each.id != number]
    images.names = [name for name in images.names if any(each.name == name for each in images.resources)]
    return DELETED


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


def _json(resource: ImageResource) -> JSON:
    deployed = resource.last_deployed
    return {
        "id": resource.id,
        "type": _type(resource),
        "name": resource.name.removeprefix("custom/"),
        "architecture": f"{resource.architecture}/{resource.kernel}",
        "resource_uri": f"{API}/boot-resources/{resource.id}/",
        "last_deployed": None if deployed is None else iso_date(deployed).removesuffix("Z"),
        **resource.description,
    }


def _set(version: str, files: Mapping[str, ImageFile]) -> JSON:
    """Show a version. It has ``progress``, a percentage, until all its files are complete."""
    size = sum(file.size for file in files.values())
    there = sum(file.size for file in files.values() if file.complete)
    progress = {} if there == size else {"progress": 100.0 * there / size}
    shown = {"version": version, "label": "stable", "size": size, "complete": there == size, **progress}
    return shown | {"files": {name: _file(name, file, version) for name, file in files.items()}}


def _file(name: str, file: ImageFile, version: str) -> JSON:
    digest = sha256(f"{version} {name}".encode()).hexdigest()
    shown: JSON = {"filename": name, "filetype": name, "sha256": digest, "filename_on_disk": digest[:7], **asdict(file)}
    return shown if file.complete else shown | {"progress": 0.0}


ENDPOINTS: Final = (
    route(
        "BootResources",
        "boot-resources/",
        GET=list_images,
        GET_is_importing=lambda call: Answer(call.region.images.importing),
        POST=upload_image,
        POST_import=start_import,
        POST_stop_import=stop_import,
    ),
    route("BootResource", "boot-resources/{id}/", GET=read_image, DELETE=delete_image),
)
