"""The MAAS client that plugins get as ``ctx.maas``: paths, forms and models, and nothing of HTTP."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from copy import copy
from typing import Final, Protocol

import anyio

from maas_mcp.errors import MaasBadRequestError, MaasNotFoundError, MaasProtocolError
from maas_mcp.maas.limits import MOST_EVENTS
from maas_mcp.maas.models import SYSTEM_ID_RULE, Event, Machine, ScriptSet, ScriptSetName, SystemId, User
from maas_mcp.maas.reading import JSON, ItemT, Listing, MaasModel

logger = logging.getLogger(__name__)

FormValue = str | int | float | bool | Sequence[str] | None
"""What a query or a form field may be: ``None`` is left out, a boolean is sent as ``true`` or ``false``, and a list
repeats its key."""

_SYSTEM_ID: Final = re.compile(r"[a-z0-9]{1,41}")
_NO_SCRIPT_SET: Final = re.compile(r"No current .*script set")


class Transport(Protocol):
    """HTTP exchanges with the region, retried where that is safe; :mod:`maas_mcp.maas.exchange` has the real one."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
    ) -> JSON:
        """Send one request and return the parsed JSON of its answer, or raise a ``MaasError``."""
        ...

    def once(self) -> "Transport":
        """The same region over the same connections, reads tried once."""
        ...

    def turn(self, op: str, waiting: Callable[[], None]) -> AbstractAsyncContextManager["Transport"]:
        """The same region for one change whose turn has come; ``waiting`` is called if it has to wait for it."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class MaasClient:
    """A MAAS region's API 2.0.

    Paths are relative to ``/MAAS/api/2.0/``. Every method raises a :class:`~maas_mcp.errors.MaasError`, and can be
    cancelled in the middle of its request, which closes that request. Reads are retried for a few seconds; what
    changes something is sent once, because MAAS may have acted on a request whose answer was lost.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._before_change: Callable[[], Awaitable[None]] | None = None
        self._limiter: AbstractAsyncContextManager[object] = nullcontext()
        self._versions: list[str] = []
        """The region's, once it was read; shared by all clients that were made of this one."""

    def once(self) -> "MaasClient":
        """The same region, each read tried once: for whoever asks again anyway, at an interval of its own."""
        return self._over(self._transport.once())

    def _over(self, transport: Transport) -> "MaasClient":
        client = copy(self)
        client._transport = transport  # noqa: SLF001 - its own
        return client

    @asynccontextmanager
    async def turn(self, op: str = "", waiting: Callable[[], None] = lambda: None) -> AsyncIterator["MaasClient"]:
        """Wait for a change's turn: MAAS is sent few at a time, and may hold each for minutes.

        The changes of the client that this gives are sent at once. So a machine can be checked after the wait and just
        before its request. Without a turn, a request waits for one when it is sent.

        Args:
            op: The operation to be sent. An abort takes no place: it may end what the others wait for.
            waiting: Called if it has to wait.
        """
        async with self._limiter, self._transport.turn(op, waiting) as transport:
            mine = self._over(transport)
            mine._limiter = nullcontext()  # noqa: SLF001 - its own
            yield mine

    def limited(self, turns: int) -> "MaasClient":
        """The same region; so many turns of this client at most come at the same time."""
        client = self._over(self._transport)
        client._limiter = anyio.CapacityLimiter(turns)  # noqa: SLF001 - its own
        return client

    def before_change(self, check: Callable[[], Awaitable[None]]) -> "MaasClient":
        """The same region; ``check`` is awaited just before a change is sent, and may raise to prevent it."""
        client = self._over(self._transport)
        client._before_change = check  # noqa: SLF001 - its own
        return client

    async def _change(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
    ) -> JSON:
        if self._before_change is not None:
            await self._before_change()
        return await self._transport.request(method, path, query=query, form=form)

    async def get(self, path: str, /, **query: FormValue) -> JSON:
        """Read ``path``, such as ``machines/4y3h7n/`` or ``subnets/``."""
        return await self._transport.request("GET", path, query=list(_pairs(query)))

    async def get_op(self, path: str, op: str, /, **query: FormValue) -> JSON:
        """Read through a named operation: ``GET path?op=op``."""
        return await self._transport.request("GET", path, query=[("op", op), *_pairs(query)])

    async def post_op(self, path: str, op: str, /, **form: FormValue) -> JSON:
        """Run a named operation: ``POST path?op=op``, its parameters sent as a form.

        MAAS 3.7 ignores the parameters in a JSON body and acts all the same, so a form is the only way. It answers
        when the work is under way, which may take minutes: it speaks to the BMC first. A few operations answer in
        plain text (``boot-resources/?op=import``): then the text is returned.

        Raises:
            MaasUnavailableError: With ``sent`` true, MAAS may have acted: look before sending it again.
        """
        return await self._change("POST", path, query=[("op", op)], form=list(_pairs(form)))

    async def post(self, path: str, /, **form: FormValue) -> JSON:
        """Make something: ``POST path`` with a form, such as ``tags/`` with a ``name``; the answer is what was made.

        Raises:
            MaasUnavailableError: With ``sent`` true, MAAS may have made it: look before sending it again.
        """
        return await self._change("POST", path, form=list(_pairs(form)))

    async def put(self, path: str, /, **form: FormValue) -> JSON:
        """Edit something: ``PUT path`` with a form of what is to change; the answer is what is there then.

        What the form of a machine does not have stays as it is.

        Raises:
            MaasUnavailableError: With ``sent`` true, MAAS may have changed it.
        """
        return await self._change("PUT", path, form=list(_pairs(form)))

    async def delete(self, path: str, /, **query: FormValue) -> None:
        """Delete something: ``DELETE path``. A ``DELETE`` has no form: what MAAS takes beside goes into the query.

        Raises:
            MaasNotFoundError: There is no such thing, or no longer.
            MaasUnavailableError: With ``sent`` true, MAAS may have deleted it.
        """
        await self._change("DELETE", path, query=list(_pairs(query)))

    async def machine(self, system_id: SystemId) -> Machine:
        """One machine, as it is now.

        Raises:
            MaasNotFoundError: There is no such machine, or the user may not see it.
            MaasProtocolError: The answer is about another one.
        """
        machine = Machine.from_response(await self.get(f"machines/{checked_id(system_id)}/"))
        if machine.system_id != system_id:
            raise MaasProtocolError(f"MAAS was asked for the machine {system_id}, and answered with another one.")
        return machine

    async def machines(self, **filters: FormValue) -> list[Machine]:
        """The machines that match ``filters``, such as ``status="ready"``, ``pool="gpu"`` or ``id=["4y3h7n"]``.

        Unknown system ids are left out silently; any other unknown value is a
        :class:`~maas_mcp.errors.MaasBadRequestError`. MAAS 3.7 has no paging: an answer
        is about 19 kB and 7 SQL queries a machine. A machine without a readable system id or status is not among them:
        :meth:`machine_listing` names it.
        """
        return await self.machine_listing(**filters)

    async def machine_listing(self, **filters: FormValue) -> Listing[Machine]:
        """The same machines, and in ``left_out`` those that cannot be read: they are there all the same."""
        return _logged(Machine.list_from_response(await self.get("machines/", **filters)))

    async def events(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        ids: Sequence[SystemId] = (),
        level: str = "DEBUG",
        limit: int = MOST_EVENTS,
    ) -> list[Event]:
        """Events, oldest first. An event without a readable id is not among them.

        Args:
            after: Only events with a higher id: then the *oldest* ``limit`` of those, so that reading on from the last
                id misses none. Without it, the newest ``limit``.
            before: Only events with a lower id, the newest ``limit`` of those. MAAS refuses it beside ``after``.
            ids: Only events of these machines; none means every machine that the user may see. They travel in the
                URL: several hundred are too many for the region's nginx (8 kB).
            level: The lowest level wanted. Status changes are ``DEBUG`` events.
            limit: At most this many; MAAS refuses more than 1000.
        """
        return await self.event_listing(after=after, before=before, ids=ids, level=level, limit=limit)

    async def event_listing(
        self, *, after: int | None, before: int | None = None, ids: Sequence[SystemId], level: str, limit: int
    ) -> Listing[Event]:
        """The same events; ``total`` counts those that cannot be read as well, and so says whether there are more."""
        answer = await self.get_op("events/", "query", after=after, before=before, id=ids, level=level, limit=limit)
        found = Event.list_from_response(answer.get("events") if isinstance(answer, dict) else None)
        return _logged(Listing(sorted(found, key=lambda event: event.id), found.left_out))

    async def newest_event_id(self) -> int:
        """The id of the newest event that the user may see, or 0 where there is none: where following starts.

        Raises:
            MaasProtocolError: None of the newest events has an id that can be read.
        """
        for limit in (1, MOST_EVENTS):
            newest = await self.event_listing(after=None, ids=(), level="DEBUG", limit=limit)
            if newest:
                return newest[-1].id
            if not newest.left_out:
                return 0
        raise MaasProtocolError(f"None of MAAS's newest {newest.total} events has an id that can be read.")

    async def script_set(self, system_id: SystemId, name: ScriptSetName, *, output: bool = False) -> ScriptSet | None:
        """The scripts of the machine's latest run of that kind, or ``None`` where it never had one.

        Args:
            system_id: The machine.
            name: Which kind of run.
            output: Whether to read what the scripts printed (MAAS 3.7: any value of ``include_output`` means yes, so
                it is left out otherwise).
        """
        path = f"nodes/{checked_id(system_id)}/results/{name}/"
        try:
            answer = await self.get(path, include_output=True if output else None)
        except MaasBadRequestError as error:
            if error.maas_says is not None and _NO_SCRIPT_SET.match(error.maas_says):
                return None
            raise
        return ScriptSet.from_response(answer)

    async def version(self) -> str:
        """The region's version, such as ``3.7.3``, asked for once.

        MAAS tells it to anyone: it says nothing about the API key.
        """
        if not self._versions:
            self._versions.append(_Version.from_response(await self.get("version/")).version)
        return self._versions[0]

    async def whoami(self) -> User:
        """The user whose API key is used: the cheapest way to learn whether the key is accepted."""
        return User.from_response(await self.get_op("users/", "whoami"))

    async def aclose(self) -> None:
        """Close the connections to the region."""
        await self._transport.aclose()


class _Version(MaasModel):
    """The answer of ``GET version/``."""

    version: str


def _logged(found: Listing[ItemT]) -> Listing[ItemT]:
    for each in found.left_out:
        logger.info("MAAS lists something that cannot be used: %s", each)
    return found


def _pairs(values: Mapping[str, FormValue]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            yield from ((key, item) for item in value)
        elif value is not None:
            yield key, _text(value)


def _text(value: str | float) -> str:
    # MAAS 3.7: `erase=0`, `erase=no` and `erase=False` all erase the disks. Only `true` and `false` are safe.
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def checked_id(system_id: SystemId) -> SystemId:
    """``system_id``, which may be put into a request.

    Raises:
        MaasNotFoundError: No machine can have it.
    """
    # MAAS decodes %2F before it looks at the path, so encoding would not keep an id inside its segment.
    if not _SYSTEM_ID.fullmatch(system_id):
        raise MaasNotFoundError(
            f"No machine can have the system id {system_id[:60]!r}.",
            hint=f"{SYSTEM_ID_RULE}.",
        )
    return system_id
