"""The names of a machine's fields in a list, and the types of arguments that name them."""

from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

NAMING: Final = ("system_id", "hostname")
"""Each machine of a list has these fields."""
DEFAULT: Final = (
    *NAMING, "status_name", "owner", "power_state", "locked", "zone", "pool", "tag_names", "architecture", "cpu_count",
    "memory", "ip_addresses",
)  # fmt: skip
MORE: Final = (
    "fqdn", "domain", "power_type", "storage", "mac_addresses", "osystem", "distro_series", "hwe_kernel",
    "ephemeral_deploy", "netboot", "description", "error_description", "pod", "commissioning_status_name",
    "testing_status_name",
)  # fmt: skip
FIELDS: Final = (*DEFAULT, *MORE)
"""All fields of MAAS's JSON that a list shows, sorts by and counts."""


def _check_field(name: str) -> str:
    known = _SPELLINGS.get(name.strip().lower().replace(" ", "_"))
    if known is None:
        raise ValueError(f"expected one of {', '.join(FIELDS)}")
    return known


_SPELLINGS: Final = {name: name for name in FIELDS} | {
    "status": "status_name",
    "tags": "tag_names",
    "tag": "tag_names",
    "ip": "ip_addresses",
    "ip_address": "ip_addresses",
    "mac": "mac_addresses",
    "mac_address": "mac_addresses",
    "name": "hostname",
}
FieldName = Annotated[str, AfterValidator(_check_field), WithJsonSchema({"type": "string"})]
"""A field's name, or another usual name of it: ``status``, ``tags``, ``ip``."""


def _check_sort(by: str) -> str:
    sign = "-" if by.strip().startswith("-") else ""
    return sign + _check_field(by.strip().removeprefix("-"))


SortField = Annotated[str, AfterValidator(_check_sort), WithJsonSchema({"type": "string"})]
"""A field's name, with ``-`` in front for descending order."""
