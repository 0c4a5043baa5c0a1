"""The notifications, package repositories and source of images of a new region, as records."""

from maas_simulator.model.records import Tables
from maas_simulator.model.scripts import iso_date

_DEPRECATED = "{}<br><a class='p-link--external' href='https://maas.io/deprecations/{}'>{}</a>"


def add_region_objects(tables: Tables, now: float) -> None:
    """Add what a new region of MAAS 3.7.3 has."""
    for ident, dismissable, words, link in (
        (
            *("MD6", True, "DHCP snippets are deprecated and will be removed in the next major release."),
            "How to replace DHCP snippets...",
        ),
        (
            *("MD5", False, "The PostgreSQL version in use is older than 16."),
            "How to upgrade the PostgreSQL server...",
        ),
    ):
        for audience, advice in (("users", "<br>Please contact your MAAS administrator."), ("admins", "")):
            tables["Notification"].add(
                ident=f"deprecation_{ident}_{audience}",
                user=None,
                users=audience == "users",
                admins=audience == "admins",
                message=_DEPRECATED.format(words + advice, ident, link),
                context={},
                category="warning",
                dismissable=dismissable,
                dismissed=(),
            )
    for name, url, arches in (
        ("main_archive", "http://archive.ubuntu.com/ubuntu", ["amd64", "i386"]),
        ("ports_archive", "http://ports.ubuntu.com/ubuntu-ports", ["armhf", "arm64", "ppc64el", "s390x"]),
    ):
        tables["PackageRepository"].add(
            **{each: [] for each in ("distributions", "disabled_pockets", "disabled_components", "components")},
            name=name,
            url=url,
            disable_sources=True,
            arches=arches,
            key="",
            enabled=True,
        )
    tables["BootSource"].add(
        created=iso_date(now),
        updated=iso_date(now),
        url="http://images.maas.io/ephemeral-v3/stable/",
        keyring_filename="/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg",
        keyring_data="",
    )
