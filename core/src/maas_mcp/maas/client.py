"""The MAAS client that plugins get as ``ctx.maas``. It has paths, forms and models, and no HTTP."""

import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from copy import copy
from typing import Final, Protocol, TypeVar

import anyio

from maas_mcp.errors import MaasBadRequestError, MaasNotFoundError, MaasProtocolError
from maas_mcp.maas.change_request import ALLOCATE, BeforeChange, ChangeRequest, Record, RehearsedError
from maas_mcp.maas.client_observer import ClientObserver, ClientObservers
from maas_mcp.maas.forms import FormValue, form_pairs
from maas_mcp.maas.limits import MAX_EVENTS
from maas_mcp.maas.models import SYSTEM_ID_RULE, Event, Machine, ScriptSet, ScriptSetName, SystemId, User
from maas_mcp.maas.reading import JSON, ItemT, Listing, MaasModel

logger = logging.getLogger(__name__)

ReadT = TypeVar("ReadT")

_SYSTEM_ID: Final = re.compile(r"[a-z0-9]{1,41}")
_NO_SCRIPT_SET: Final = re.compile(r"No current .*script set")


class Transport(Protocol):
    """Sends requests to the region and retries the safe ones. :mod:`maas_mcp.maas.exchange` implements it."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
        decode: Callable[[bytes], JSON] | None = None,
        patience: float | None = None,
    ) -> JSON:
        """Send one request and return the parsed JSON of the response, or raise a ``MaasError``.

        With ``decode``, return what it returns for the body. ``patience`` replaces the limit in seconds.
        """
        ...

    def once(self) -> "Transport":
        """Return a transport over the same connections that does not retry reads."""
        ...

    def turn(self, op: str, waiting: Callable[[], None]) -> AbstractAsyncContextManager["Transport"]:
        """Wait for the turn of one change. ``waiting`` is called if there is a wait."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class Guard(Protocol):
    """Decides on the changes of a client."""

    async def check(self, maas: "MaasClient", request: ChangeRequest) -> None:
        """Raise a ``MaasMcpError`` to prevent a request. ``maas`` is the client that sends it, without the guard."""
        ...

    async def constrain(self, maas: "MaasClient", form: Mapping[str, FormValue]) -> Mapping[str, FormValue]:
        """Return the form of an allocation, perhaps with more constraints."""
        ...


class MaasClient:
    """A client for a region's MAAS API 2.0.

    Paths are relative to ``/MAAS/api/2.0/``. Every method may raise a :class:`~maas_mcp.errors.MaasError`. Cancelling a
    call closes its request. Reads are retried for a few seconds. Changes are sent once, because MAAS may have acted on
    a request whose response was lost.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._checks: tuple[BeforeChange, ...] = ()
        self._last_checks: tuple[BeforeChange, ...] = ()
        self._record: Record | None = None
        self._guard: Guard | None = None
        self._limiter: AbstractAsyncContextManager[object] = nullcontext()
        self._versions: list[str] = []
        """The region's version once it was read, shared by all clients derived from this one."""
        self._observers = ClientObservers()
        """Shared by all clients derived from this one."""

    def once(self) -> "MaasClient":
        """Return a client that does not retry reads, for callers that poll anyway."""
        return self._with_transport(self._transport.once())

    def _with_transport(self, transport: Transport) -> "MaasClient":
        client = copy(self)
        client._transport = transport  # noqa: SLF001 - its own
        return client

    @asynccontextmanager
    async def turn(self, op: str = "", waiting: Callable[[], None] = lambda: None) -> AsyncIterator["MaasClient"]:
        """Wait for the turn of a change, and yield a client that sends changes at once.

        Only a few changes are sent at a time, and MAAS may hold each for minutes. Checking a machine after this wait
        makes the check current. Without a turn, each change waits when it is sent.

        Args:
            op: The operation to send. An abort does not wait, because it may end what the others wait for.
            waiting: Called if there is a wait.
        """
        if self._record is not None:
            yield self
            return
        async with self._limiter, self._transport.turn(op, waiting) as transport:
            mine = self._with_transport(transport)
            mine._limiter = nullcontext()  # noqa: SLF001 - its own
            yield mine

    def limited(self, turns: int) -> "MaasClient":
        """Return a client that has at most ``turns`` turns at the same time."""
        client = self._with_transport(self._transport)
        client._limiter = anyio.CapacityLimiter(turns)  # noqa: SLF001 - its own
        return client

    def before_change(self, check: BeforeChange, *, last: bool = False) -> "MaasClient":
        """Return a client that awaits ``check`` just before it sends a change. ``check`` may raise to prevent it.

        Args:
            check: Receives the request. The checks of this client run before it.
            last: Run it after all others, also after those that are added to the returned client: only requests that
                all of them allow reach it.
        """
        client = self._with_transport(self._transport)
        if last:
            client._last_checks = (*self._last_checks, check)  # noqa: SLF001 - its own
        else:
            client._checks = (*self._checks, check)  # noqa: SLF001 - its own
        return client

    def rehearsing(self, record: Record) -> "MaasClient":
        """Return a client that sends no change and waits for no turn. It passes each change to ``record``.

        Each change then raises a ``RehearsedError``. Checks with ``last`` do not run.
        """
        client = self._with_transport(self._transport)
        client._record = record  # noqa: SLF001 - its own
        return client

    def guarded(self, guard: "Guard | None") -> "MaasClient":
        """Return a client whose changes pass a guard, or none."""
        client = self._with_transport(self._transport)
        client._guard = guard  # noqa: SLF001 - its own
        return client

    def observe(self, observer: ClientObserver) -> AbstractContextManager[None]:
        """Pass the machines in responses, and each change, to an observer during the block.

        It observes this client, the client that this one is derived from, and all others derived from that.
        """
        return self._observers.adding(observer)

    async def _change(
        self,
        method: str,
        path: str,
        op: str | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
    ) -> JSON:
        change = ChangeRequest(method, path, op, (*query, *(form or ())))
        if self._guard is not None:
            await self._guard.check(self.guarded(None), change)
        for check in self._checks:
            await check(change)
        if self._record is not None and not change.is_dry_run:
            self._record(change)
            raise RehearsedError
        for check in self._last_checks:
            await check(change)
        query = query if op is None else [("op", op), *query]
        asked = anyio.current_time()
        try:
            response = await self._transport.request(method, path, query=query, form=form)
            if not change.is_dry_run:
                self._observers.note_response(path, response, asked)
            return response
        finally:
            if not change.is_dry_run:
                self._observers.note_change(change, asked)

    async def get(self, path: str, /, **query: FormValue) -> JSON:
        """Read ``path``, such as ``machines/4y3h7n/`` or ``subnets/``."""
        asked = anyio.current_time()
        response = await self._transport.request("GET", path, query=list(form_pairs(query)))
        self._observers.note_response(path, response, asked)
        return response

    async def get_as(
        self, path: str, decode: Callable[[bytes], ReadT], /, *, patience: float | None = None, **query: FormValue
    ) -> ReadT:
        """Read ``path`` as :meth:`get` does, but with a decoder in place of the JSON parser, for large responses.

        Args:
            path: The path.
            decode: Receives the JSON text, and returns the result. It may raise a ``ValueError`` if the text is not
                what it expects. Invisible characters in strings are already replaced by their escapes.
            patience: Seconds to wait for the response, instead of the usual limit.
            query: The query parameters.

        Raises:
            MaasProtocolError: ``decode`` rejected the response.
        """
        read: ReadT = await self._transport.request(
            "GET", path, query=list(form_pairs(query)), decode=decode, patience=patience
        )
        return read

    async def get_op(self, path: str, op: str, /, **query: FormValue) -> JSON:
        """Read through a named operation: ``GET path?op=op``."""
        return await self._transport.request("GET", path, query=[("op", op), *form_pairs(query)])

    async def post_op(self, path: str, op: str, /, **form: FormValue) -> JSON:
        """Run a named operation: ``POST path?op=op``, with its parameters as a form.

        MAAS 3.7 acts on a JSON body but ignores the parameters in it, so only a form works. MAAS responds when the work
        has started. That may take minutes, because it contacts the BMC first. A few operations respond in plain text
        (``boot-resources/?op=import``); the text is returned.

        Raises:
            MaasUnavailableError: If ``sent`` is true, MAAS may have acted: check before sending it again.
        """
        if self._guard is not None and (path, op) == ALLOCATE:
            form = dict(await self._guard.constrain(self.guarded(None), form))
        return await self._change("POST", path, op, form=list(form_pairs(form)))

    async def post(self, path: str, /, **form: FormValue) -> JSON:
        """Create an object: ``POST path`` with a form, such as ``tags/`` with a ``name``. Returns the new object.

        Raises:
            MaasUnavailableError: If ``sent`` is true, MAAS may have created it: check before sending it again.
        """
        return await self._change("POST", path, form=list(form_pairs(form)))

    async def put(self, path: str, /, **form: FormValue) -> JSON:
        """Edit an object: ``PUT path`` with a form of the changed fields. Returns the changed object.

        For a machine, fields missing from the form keep their values.

        Raises:
            MaasUnavailableError: If ``sent`` is true, MAAS may have changed it.
        """
        return await self._change("PUT", path, form=list(form_pairs(form)))

    async def delete(self, path: str, /, **query: FormValue) -> None:
        """Delete an object: ``DELETE path``, with options in the query because a ``DELETE`` has no form.

        Raises:
            MaasNotFoundError: The object does not exist, or no longer.
            MaasUnavailableError: If ``sent`` is true, MAAS may have deleted it.
        """
        await self._change("DELETE", path, query=list(form_pairs(query)))

    async def machine(self, system_id: SystemId) -> Machine:
        """Read one machine.

        Raises:
            MaasNotFoundError: There is no such machine, or the user may not see it.
            MaasProtocolError: The response describes another machine.
        """
        machine = Machine.from_response(await self.get(f"machines/{validate_system_id(system_id)}/"))
        if machine.system_id != system_id:
            raise MaasProtocolError(f"MAAS returned another machine than the requested {system_id}.")
        return machine

    async def machines(self, **filters: FormValue) -> list[Machine]:
        """List the machines that match ``filters``, such as ``status="ready"``, ``pool="gpu"`` or ``id=["4y3h7n"]``.

        MAAS silently leaves out unknown system ids. Any other unknown value raises
        :class:`~maas_mcp.errors.MaasBadRequestError`. MAAS 3.7 has no paging: each machine costs about 19 kB and 7 SQL
        queries. Machines without a readable system id or status are missing here; :meth:`machine_listing` names them.
        """
        return await self.machine_listing(**filters)

    async def machine_listing(self, **filters: FormValue) -> Listing[Machine]:
        """List machines as :meth:`machines` does, and name the unreadable ones in ``left_out``."""
        return _log_left_out(Machine.list_from_response(await self.get("machines/", **filters)))

    async def events(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        ids: Sequence[SystemId] = (),
        level: str = "DEBUG",
        limit: int = MAX_EVENTS,
    ) -> list[Event]:
        """List events, oldest first, without those that have no readable id.

        Args:
            after: Only events with a higher id, and of those the *oldest* ``limit``. Continuing from the last id
                misses no event. Without ``after``, the newest ``limit`` events are returned.
            before: Only events with a lower id, and of those the newest ``limit``. MAAS refuses it together with
                ``after``.
            ids: Only events of these machines; empty means all machines that the user may see. The ids are part of
                the URL, and several hundred exceed the limit of the region's nginx (8 kB).
            level: The lowest level to return. Status changes are ``DEBUG`` events.
            limit: The most events to return. MAAS refuses more than 1000.
        """
        return await self.event_listing(after=after, before=before, ids=ids, level=level, limit=limit)

    async def event_listing(
        self, *, after: int | None, before: int | None = None, ids: Sequence[SystemId], level: str, limit: int
    ) -> Listing[Event]:
        """List events as :meth:`events` does. ``total`` counts unreadable ones too, so it shows if there are more."""
        response = await self.get_op("events/", "query", after=after, before=before, id=ids, level=level, limit=limit)
        found = Event.list_from_response(response.get("events") if isinstance(response, dict) else None)
        return _log_left_out(Listing(sorted(found, key=lambda event: event.id), found.left_out))

    async def newest_event_id(self) -> int:
        """Return the id of the newest event that the user may see, or 0 without events. Following starts there.

        Raises:
            MaasProtocolError: None of the newest events has a readable id.
        """
        for limit in (1, MAX_EVENTS):
            newest = await self.event_listing(after=None, ids=(), level="DEBUG", limit=limit)
            if newest:
                return newest[-1].id
            if not newest.left_out:
                return 0
        raise MaasProtocolError(f"None of MAAS's newest {newest.total} events has a readable id.")

    async def script_set(self, system_id: SystemId, name: ScriptSetName, *, output: bool = False) -> ScriptSet | None:
        """Read the scripts of the machine's latest run of a kind, or ``None`` if it never had one.

        Args:
            system_id: The machine.
            name: The kind of run.
            output: Whether to read the scripts' output. MAAS 3.7 treats any value of ``include_output`` as true, so
                false leaves it out.
        """
        path = f"nodes/{validate_system_id(system_id)}/results/{name}/"
        try:
            response = await self.get(path, include_output=True if output else None)
        except MaasBadRequestError as error:
            if error.maas_says is not None and _NO_SCRIPT_SET.match(error.maas_says):
                return None
            raise
        return ScriptSet.from_response(response)

    async def version(self) -> str:
        """Return the region's version, such as ``3.7.3``, which is read once.

        MAAS does not check the API key for this request.
        """
        if not self._versions:
            self._versions.append(_Version.from_response(await self.get("version/")).version)
        return self._versions[0]

    async def whoami(self) -> User:
        """Read the user of the API key. This is the cheapest way to check the key."""
        return User.from_response(await self.get_op("users/", "whoami"))

    async def aclose(self) -> None:
        """Close the connections to the region."""
        await self._transport.aclose()


class _Version(MaasModel):
    """The response of ``GET version/``."""

    version: str


def _log_left_out(found: Listing[ItemT]) -> Listing[ItemT]:
    for each in found.left_out:
        logger.info("MAAS listed an unusable entry: %s", each)
    return found


def validate_system_id(system_id: SystemId) -> SystemId:
    """Return ``system_id`` if it is safe in a request's path.

    Raises:
        MaasNotFoundError: It is not a system id.
    """
    # MAAS decodes %2F before it splits the path, so encoding would not keep an id inside its segment.
    if not _SYSTEM_ID.fullmatch(system_id):
        raise MaasNotFoundError(
            f"{system_id[:60]!r} is not a system id.",
            hint=f"{SYSTEM_ID_RULE}.",
        )
    return system_id
