"""Announces updated resources to the subscriptions of the principal that may see them, and to no others."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from maas_mcp.operations.declaring.resource import Resource

logger = logging.getLogger(__name__)

Deliver = Callable[[str], None]
"""Receives the URI of an updated resource. Returns at once."""


class ResourceUpdates:
    """The subscriptions of all principals. Nothing is buffered here."""

    def __init__(self) -> None:
        self._resources: Sequence[Resource] = ()
        self._subscribed: defaultdict[str, dict[object, Deliver]] = defaultdict(dict)
        """By the principal's name."""

    def serve(self, resources: Sequence[Resource]) -> None:
        """Announce updates of these resources from now on."""
        self._resources = resources

    @contextmanager
    def subscribed(self, principal: str, deliver: Deliver) -> Iterator[None]:
        """Deliver the updates of a principal's resources during the block."""
        key = object()
        self._subscribed[principal][key] = deliver
        try:
            yield
        finally:
            del self._subscribed[principal][key]
            if not self._subscribed[principal]:
                del self._subscribed[principal]

    def wanted(self, principal: str) -> bool:
        """Whether the principal has a subscription."""
        return principal in self._subscribed

    def changed(self, principal: str, **changed: str) -> None:
        """Announce the resources that a change of the principal's machine or operation updates.

        Args:
            principal: The principal's name.
            changed: ``system_id``, ``operation_id``, or both.
        """
        if not self.wanted(principal):
            return
        for resource in self._resources:
            try:
                uris = list(resource.updated_by(changed))
            except Exception:
                logger.exception("%s.updated_by failed", type(resource).__qualname__)
                continue
            for uri in uris:
                self.announce(principal, uri)

    def announce(self, principal: str, uri: str) -> None:
        """Announce one updated resource."""
        for deliver in list(self._subscribed.get(principal, {}).values()):
            deliver(uri)
