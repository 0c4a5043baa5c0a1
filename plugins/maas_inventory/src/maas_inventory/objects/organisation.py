"""The objects by which a region is organised: zones, resource pools, tags, users and notifications."""

from typing import Final

from maas_inventory.objects.kind import Kind
from maas_inventory.objects.row import UNSET, Flag, ObjectRow, Whole, taken_from
from maas_mcp.api import MachineText


class Zone(ObjectRow):
    """A zone."""

    identity = "name"

    name: MachineText
    id: Whole = UNSET
    description: MachineText = UNSET


class Pool(ObjectRow):
    """A resource pool."""

    id: Whole
    name: MachineText = UNSET
    description: MachineText = UNSET


class Tag(ObjectRow):
    """A tag. MAAS gives a tag with a definition to all machines whose hardware matches it."""

    identity = "name"

    name: MachineText
    comment: MachineText = UNSET
    definition: MachineText = UNSET
    kernel_opts: MachineText | None = None


class ListedUser(ObjectRow):
    """A user of MAAS."""

    identity = label = "username"
    sources = taken_from(administrator=("is_superuser",))

    username: MachineText
    administrator: Flag = UNSET
    email: MachineText = UNSET
    is_local: Flag = UNSET


class Notification(ObjectRow):
    """A notification that MAAS shows to the user."""

    label = "category"

    id: Whole
    category: MachineText = UNSET
    message: MachineText = UNSET
    ident: MachineText | None = None
    dismissable: Flag = UNSET


ORGANISATION: Final = (
    Kind(name="zone", noun="zone", row=Zone, path="zones/"),
    Kind(name="pool", noun="resource pool", row=Pool, path="resourcepools/"),
    Kind(name="tag", noun="tag", row=Tag, path="tags/"),
    Kind(name="user", noun="user", row=ListedUser, path="users/"),
    Kind(name="notification", noun="notification", row=Notification, path="notifications/"),
)
"""The kinds of the region's organisation."""
