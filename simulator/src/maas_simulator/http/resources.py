"""Resources: a collection of records with its form, view and permissions as data, and the endpoints that it makes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from maas_simulator.http.calls import Answer, Call, Endpoint, Handler, Handlers
from maas_simulator.model.fields import RecordForm, find
from maas_simulator.model.forms import Form, last
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import Refusal, forbidden, not_found
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

View = Callable[[RegionState, Record], JSON]
DELETED = Answer(text="", status=204, content_type="text/plain")


def read_id(name: str) -> int:
    """Read an id in a path. MAAS fails at any other text, unless it also looks for names."""
    try:
        return int(name)
    except ValueError:
        raise Refusal(500, f"Field 'id' expected a number but got '{name}'.") from None


def by_id(call: Call, table: Table, name: str) -> Record | None:
    """Find an object by its id."""
    del call
    return table.get(read_id(name))


def by_name(call: Call, table: Table, name: str) -> Record | None:
    """Find an object by its name."""
    del call
    return table.named(name)


def by_id_or_name(call: Call, table: Table, name: str) -> Record | None:
    """Find an object by its id, its name, or ``name:`` with its name."""
    del call
    return find(table, name) or table.named(name.removeprefix("name:"))


def check_superuser(call: Call) -> None:
    """Raise a 403 for other users: the permission on an object."""
    if not call.user.is_superuser:
        raise forbidden()


def check_admin(call: Call) -> None:
    """Raise a 403 for other users: the permission to call a method, which MAAS checks before everything else."""
    if not call.user.is_superuser:
        raise Refusal(403, "This method is reserved for admin users.")


def check_anybody(call: Call) -> None:
    """Let every user pass."""
    del call


def no_change(call: Call, record: Record) -> None:
    """Do nothing more than MAAS stores."""
    del call, record


def not_deletable(call: Call, record: Record) -> None:
    """Stand for a ``DELETE`` that does not exist."""
    del call, record


def record_json(path: str, *hidden: str) -> View:
    """Return the view that shows all fields, except the hidden ones."""

    def view(_region: RegionState, record: Record) -> JSON:
        shown = {name: value for name, value in record.items() if name not in hidden}
        return {**shown, "resource_uri": f"{API}/{path}/{record['id']}/"}

    return view


def add_tag(call: Call, record: Record) -> None:
    """Add the tag in the request."""
    record["tags"] = list(dict.fromkeys([*record["tags"], _tag(call)]))


def remove_tag(call: Call, record: Record) -> None:
    """Remove the tag in the request."""
    gone = _tag(call)
    record["tags"] = [tag for tag in record["tags"] if tag != gone]


def _tag(call: Call) -> str:
    if "tag" not in call.form:
        raise Refusal(400, "No provided tag!")
    return last(call.form, "tag")


NO_FORM: Final = RecordForm("", ())
"""Stands for a ``POST`` and a ``PUT`` that do not exist."""


@dataclass(frozen=True)
class Resource:
    """A collection in the API: ``GET`` and ``POST`` on ``many``, ``GET``, ``PUT`` and ``DELETE`` on ``one``.

    By default everybody reads and only superusers write. MAAS checks in this order: ``may_call``, whether the object
    exists, the permission, the form, and what depends on the object. Without a ``form`` nothing is created or changed.
    ``more_many`` and ``more_one`` have the operations, and methods that differ.
    """

    kind: str
    """The name of the table, and of the object in a 404."""
    many: str
    """The path of the list; empty if the API has no list of its own."""
    one: str
    view: View
    form: RecordForm = NO_FORM
    given: Callable[[Call], Form] = lambda call: call.form
    """The parameters for the form."""
    from_call: Callable[[Call], Record] = lambda _call: {}
    """The stored fields of a new object that are not in the form."""
    before_store: Callable[[Call, Record, Record | None], None] = lambda _call, _values, _old: None
    """Raises a ``Refusal`` if the values cannot be stored; gets the object as it is, if it is changed."""
    find: Callable[[Call, Table, str], Record | None] = by_id
    order: Callable[[Record], Any] = lambda record: record["id"]
    shown: Callable[[Call, Record], bool] = lambda _call, _record: True
    """Whether a user sees the object in the list."""
    after_create: Callable[[Call, Record], None] = no_change
    after_update: Callable[[Call, Record, Record], None] = lambda _call, _record, _before: None
    """Gets the object as it is now, and as it was."""
    before_delete: Callable[[Call, Record], None] = no_change
    """Raises a ``Refusal`` if the object cannot be deleted; else removes what depends on it."""
    may_create: Callable[[Call], None] = check_admin
    may_change: Callable[[Call, Record], None] = lambda call, _record: check_superuser(call)
    """Checks the permission to change or delete the object, after it was found."""
    may_call: Callable[[Call], None] = check_anybody
    """Checks the permission to change or delete, before the object is looked up."""
    has_update: bool = True
    created: int = 200
    """The status of a creation."""
    restricted: bool = False
    """Whether only superusers may call it at all."""
    deletes_unknown: bool = False
    """Whether deleting an unknown object succeeds."""
    name: str = ""
    """The name of the endpoints in MAAS's description of its API, if it is not that of the kind."""
    slashes: bool = False
    """Whether the name of an object in a path may have slashes."""
    changes: Mapping[str, Callable[[Call, Record], None]] = field(default_factory=dict)
    """The operations that change an object, and return it."""
    more_many: Handlers = field(default_factory=dict)
    more_one: Handlers = field(default_factory=dict)

    def endpoints(self) -> Iterator[Endpoint]:
        """The endpoints of the list and of one object."""
        many: dict[tuple[str, str | None], Handler] = {("GET", None): self.list}
        one: dict[tuple[str, str | None], Handler] = {("GET", None): self.read}
        if self.form is not NO_FORM:
            many["POST", None] = self.create
        if self.form is not NO_FORM and self.has_update:
            one["PUT", None] = self.update
        if self.before_delete is not not_deletable:
            one["DELETE", None] = self.delete
        one |= {("POST", op): self.changing(change) for op, change in self.changes.items()}
        name, restricted = self.name or self.kind, self.restricted
        if self.many:
            yield Endpoint(
                re.sub("ys$", "ies", f"{name}s"), self.many, {**many, **self.more_many}, restricted=restricted
            )
        yield Endpoint(name, self.one, {**one, **self.more_one}, restricted=restricted, slashes=self.slashes)

    def table(self, call: Call) -> Table:
        """The objects."""
        return call.region.tables[self.kind]

    def get(self, call: Call) -> Record:
        """The object in the path; 404 if there is none."""
        found = self.find(call, self.table(call), call.parts[-1])
        if found is None:
            raise not_found(self.kind)
        return found

    def get_to_change(self, call: Call) -> Record:
        """The object in the path, if the user may change it."""
        self.may_call(call)
        found = self.get(call)
        self.may_change(call, found)
        return found

    def list(self, call: Call) -> Answer:
        """All objects that the user may see."""
        found = sorted(self.table(call).values(), key=self.order)
        return Answer([self.view(call.region, record) for record in found if self.shown(call, record)])

    def read(self, call: Call) -> Answer:
        """One object."""
        return Answer(self.view(call.region, self.get(call)))

    def create(self, call: Call) -> Answer:
        """Create an object."""
        self.may_create(call)
        table = self.table(call)
        values = {**self.form.clean(call.region.tables, self.given(call), table), **self.from_call(call)}
        self.before_store(call, values, None)
        record = table.add(**values)
        self.after_create(call, record)
        return Answer(self.view(call.region, record), status=self.created)

    def update(self, call: Call) -> Answer:
        """Change an object."""
        record = self.get_to_change(call)
        before = dict(record)
        values = self.form.clean(call.region.tables, self.given(call), self.table(call), record)
        self.before_store(call, values, record)
        record.update(values)
        self.after_update(call, record, before)
        return Answer(self.view(call.region, record))

    def changing(self, change: Callable[[Call, Record], None]) -> Handler:
        """Return the handler of an operation that changes an object."""

        def act(call: Call) -> Answer:
            record = self.get_to_change(call)
            change(call, record)
            return Answer(self.view(call.region, record))

        act.__doc__ = change.__doc__
        return act

    def delete(self, call: Call) -> Answer:
        """Delete an object."""
        if self.deletes_unknown:
            self.may_call(call)
            if self.find(call, self.table(call), call.parts[-1]) is None:
                return DELETED
        record = self.get_to_change(call)
        self.before_delete(call, record)
        del self.table(call)[record["id"]]
        return DELETED


def refuse_default(kind: str, is_default: Callable[[Record], bool]) -> Callable[[Call, Record], None]:
    """Reject the deletion of the object that always exists."""

    def check(_call: Call, record: Record) -> None:
        if is_default(record):
            raise Refusal(400, f"This {kind} is the default {kind}, it cannot be deleted.")

    return check
