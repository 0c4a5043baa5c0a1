"""Values of forms and queries, as MAAS reads them."""

from collections.abc import Iterator, Mapping, Sequence

FormValue = str | int | float | bool | Sequence[str] | None
"""The value of a query parameter or form field. ``None`` is left out, a boolean is sent as ``true`` or ``false``, and a
list repeats its key."""


def form_pairs(values: Mapping[str, FormValue]) -> Iterator[tuple[str, str]]:
    """Return the keys and values to send."""
    for key, value in values.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            yield from ((key, item) for item in value)
        elif value is not None:
            yield key, _format_value(value)


def _format_value(value: str | float) -> str:
    # MAAS 3.7: `erase=0`, `erase=no` and `erase=False` all erase the disks. Only `true` and `false` work as expected.
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
