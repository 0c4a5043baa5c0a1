"""Resources: a collection of records with its form, view and permissions as data, and the endpoints that it makes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from maas_simulator.http.calls import Answer, Call, Endpoint, Handler, Handlers, keyed
from maas_simulator.model.fields import RecordForm, find
from maas_simulator.model.forms import Form, mandatory
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import Refusal, forbidden, not_found
from maas_simulator.model.scripts import JSON
from maas_simulator.state import RegionState

View = Callable[[RegionState, Record], JSON]
Change = Callable[[Call, Record], object]
"""Acts on an object; its result is ignored."""
DELETED: Final = Answer(text="", status=204, content_type="text/plain")


def read_id(name: str) -> int:
    """Read an id in a path. MAAS fails at any other text, unless it also looks for names."""
    try:
        return int(name)
    except ValueError:
        raise Refusal(500, f"Field 'id' expected a number but got '{name}'.") from None


def by_id(_call: Call, table: Table, name: str) -> Record | None:
    """Find an object by its id."""
    return table.get(read_id(name))


def by_name(_call: Call, table: Table, name: str) -> Record | None:
    """Find an object by its name."""
    return table.named(name)


def by_id_or_name(_call: Call, table: Table, name: str) -> Record | None:
    """Find an object by its id, its name, or ``name:`` with its name."""
    return find(table, name) or table.named(name.removeprefix("name:"))


def check_superuser(call: Call) -> None:
    """Raise a 403 for other users: the permission on an object."""
    if not call.user.is_superuser:
        raise forbidden()


def check_admin(call: Call) -> None:
    """Raise a 403 for other users: the permission to call a method, which MAAS checks before everything else."""
    if not call.user.is_superuser:
        raise forbidden("This method is reserved for admin users.")


def check_anybody(_call: Call) -> None:
    """Let every user pass."""


def no_change(_call: Call, _record: Record) -> None:
    """Do nothing more than MAAS stores."""


def record_json(path: str, *hidden: str, **shown: Callable[[RegionState, Record], object]) -> View:
    """Return the view that shows all fields, except the hidden ones, and those that are computed."""

    def view(region: RegionState, record: Record) -> JSON:
        columns = {**record, **{name: compute(region, record) for name, compute in shown.items()}}
        for name in hidden:
            columns.pop(name, None)
        return {**columns, "resource_uri": f"{API}/{path}/{record['id']}/"}

    return view


def add_tag(call: Call, record: Record) -> None:
    """Add the tag in the request."""
    record["tags"] = list(dict.fromkeys([*record["tags"], mandatory(call.form, "tag")]))


def remove_tag(call: Call, record: Record) -> None:
    """Remove the tag in the request."""
    gone = mandatory(call.form, "tag")
    record["tags"] = [tag for tag in record["tags"] if tag != gone]


NO_FORM: Final = RecordForm("")


@dataclass(frozen=True)
class Resource:
    """A collection in the API: ``GET`` and ``POST`` on ``many``, ``GET``, ``PUT`` and ``DELETE`` on ``one``.

    By default everybody reads and only superusers write. MAAS checks in this order: ``may_call``, whether the object
    exists, the permission, the form, and what depends on the object.
    ``more_many`` and ``more_one`` have other operations, and methods that differ.
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
    after_create: Change = no_change
    after_update: Callable[[Call, Record, Record], None] = lambda _call, _record, _before: None
    """Gets the object as it is now, and as it was."""
    after_save: Change = no_change
    """Runs after both."""
    before_delete: Change = no_change
    """Raises a ``Refusal`` if the object cannot be deleted; else changes what names it."""
    may_create: Callable[[Call], None] = check_admin
    may_change: Change = lambda call, _record: check_superuser(call)
    """Checks the permission to change or delete the object, after it was found."""
    may_call: Callable[[Call], None] = check_anybody
    """Checks the permission to change or delete, before the object is looked up."""
    methods: str = "GET POST PUT DELETE"
    """The methods that the collection and its objects have."""
    within: "tuple[Resource, str] | None" = None
    """The resource whose object is first in the path, and the field that refers to it."""
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
    reads: Mapping[str, Callable[[Call, Record], object]] = field(default_factory=dict)
    """The operations that show something of an object."""
    changes: Mapping[str, Change] = field(default_factory=dict)
    """The operations that change an object and show it."""
    more_many: Handlers = field(default_factory=dict)
    more_one: Handlers = field(default_factory=dict)

    def endpoints(self) -> Iterator[Endpoint]:
        """The endpoints of the list and of one object."""
        name = self.name or self.kind
        operations: Handlers = {
            **{("GET", op): self.reading(read) for op, read in self.reads.items()},
            **{("POST", op): self.changing(change) for op, change in self.changes.items()},
        }
        if self.many:
            many = keyed(GET=self.list, POST=self.create)
            yield self._endpoint(re.sub("ys$", "ies", f"{name}s"), self.many, many, self.more_many)
        one = keyed(GET=self.read, PUT=self.update, DELETE=self.delete)
        yield self._endpoint(name, self.one, one, {**operations, **self.more_one})

    def _endpoint(self, name: str, path: str, usual: Handlers, more: Handlers) -> Endpoint:
        handlers = {key: handler for key, handler in usual.items() if key[0] in self.methods.split()}
        return Endpoint(name, path, {**handlers, **more}, restricted=self.restricted, slashes=self.slashes)

    def table(self, call: Call) -> Table:
        """The objects."""
        return call.region.tables[self.kind]

    def scope(self, call: Call) -> Record:
        """The fields that all objects of the path have."""
        if self.within is None:
            return {}
        parent, name = self.within
        return {name: parent.get(call, 0)["id"]}

    def get(self, call: Call, part: int = -1) -> Record:
        """The object in the path; 404 if there is none."""
        scope, found = self.scope(call), self.find(call, self.table(call), call.parts[part])
        if found is None or any(found[name] != value for name, value in scope.items()):
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
        found = sorted(self.table(call).where(**self.scope(call)), key=self.order)
        return Answer([self.view(call.region, record) for record in found if self.shown(call, record)])

    def read(self, call: Call) -> Answer:
        """One object."""
        return Answer(self.view(call.region, self.get(call)))

    def create(self, call: Call) -> Answer:
        """Create an object."""
        self.may_create(call)
        table, scope = self.table(call), self.scope(call)
        values = self.form.clean(call.region.tables, self.given(call), table)
        values |= {**scope, **self.from_call(call)}
        self.before_store(call, values, None)
        record = table.add(**values)
        self.after_create(call, record)
        self.after_save(call, record)
        return Answer(self.view(call.region, record), status=self.created)

    def update(self, call: Call) -> Answer:
        """Change an object."""
        record = self.get_to_change(call)
        before = dict(record)
        values = self.form.clean(call.region.tables, self.given(call), self.table(call), record)
        self.before_store(call, values, record)
        record.update(values)
        self.after_update(call, record, before)
        self.after_save(call, record)
        return Answer(self.view(call.region, record))

    def reading(self, show: Callable[[Call, Record], object]) -> Handler:
        """The operation that shows something."""

        def act(call: Call) -> Answer:
            return Answer(show(call, self.get(call)))

        act.__doc__ = show.__doc__
        return act

    def changing(self, change: Change) -> Handler:
        """The operation that makes a change."""

        def act(call: Call) -> Answer:
            record = self.get_to_change(call)
            change(call, record)
            return Answer(self.view(call.region, record))

        act.__doc__ = change.__doc__
        return act

    def delete(self, call: Call) -> Answer:
        """Delete an object, and what depends on it."""
        if self.deletes_unknown:
            self.may_call(call)
            if self.find(call, self.table(call), call.parts[-1]) is None:
                return DELETED
        record = self.get_to_change(call)
        self.before_delete(call, record)
        call.region.tables.delete(self.kind, record["id"])
        return DELETED
