"""The tool that lists what changed: statuses, owners and other fields, machines that came and machines that went."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
from pydantic import BaseModel, Field

from maas_inventory.machines.fields import FieldName, shown_value
from maas_inventory.machines.past import Past, read_past
from maas_inventory.objects.row import JSON
from maas_inventory.paging import Limit
from maas_inventory.times import as_utc, show
from maas_mcp.api import CarriesMachineText, InvalidArgumentsError, MachineText, Tool, ToolContext, fit_page, quoted

if TYPE_CHECKING:
    from maas_inventory.informer.informer import Informer
    from maas_inventory.informer.snapshot import Change

DEFAULT_PERIOD: Final = timedelta(hours=1)
"""The period of a call without `since` and without a cursor."""
