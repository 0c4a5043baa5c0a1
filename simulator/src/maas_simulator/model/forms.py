"""Reading parameters as MAAS does, with its two kinds of booleans."""

from collections.abc import Mapping, Sequence

from maas_simulator.model.refusals import Refusal, invalid, invalid_parameter

Form = Mapping[str, Sequence[str]]
"""The parameters of a request: all values of every key."""

DEFAULT_IMAGE = "ubuntu/noble"
IMAGES = ("centos/centos70", "custom/custom-noble", "ubuntu/jammy", "ubuntu/noble")
KERNELS = {
    "ubuntu/jammy": ("ga-22.04", "hwe-22.04", "hwe-22.04-edge"),
    "ubuntu/noble": ("ga-24.04", "hwe-24.04", "hwe-24.04-edge"),
}
_SHORT = {"22.04": "ubuntu/jammy", "24.04": "ubuntu/noble", "ubuntu": DEFAULT_IMAGE, "": DEFAULT_IMAGE}
_YES = frozenset({"true", "t", "yes", "y", "on", "1"})
_NO = frozenset({"false", "f", "no", "n", "off", "0", ""})


def last(form: Form, name: str) -> str:
    """Return the last value of a parameter, or an empty string."""
    values = form.get(name) or [""]
    return values[-1]


def mandatory(form: Form, name: str) -> str:
    """Return a parameter of an operation; 400 if it is left out."""
    if name not in form:
        raise Refusal(400, f"No provided {name}!")
    return last(form, name)


def each(form: Form, name: str) -> list[str]:
    """Return all values of a parameter; each may be a comma-separated list."""
    return [part.strip() for value in form.get(name, ()) for part in value.split(",") if part.strip()]


def is_true(value: str) -> bool:
    """Read a boolean of a form, which is loose: all values except empty and ``false`` are true, even ``0``."""
    return value.lower() not in ("", "false")


def is_yes(form: Form, name: str, default: str = "") -> bool:
    """Read a boolean of which everything unknown is false."""
    return (last(form, name) or default).lower() in _YES


def loose_boolean(form: Form, name: str) -> bool:
    """Read a boolean of a form, such as those of release, commission, test and of a new machine."""
    return is_true(last(form, name))


def strict_boolean(form: Form, name: str) -> bool:
    """Read a boolean parameter, such as those of deploy and allocate, which accept only ``0``, ``1``, ``yes`` etc."""
    value = last(form, name).strip().lower()
    if value not in _YES | _NO:
        raise invalid_parameter(name, "Value should be 'true' or 'false'")
    return value in _YES


def integer(form: Form, name: str) -> int | None:
    """Read an integer; None if it is left out or empty."""
    text = last(form, name).strip()
    try:
        return int(text) if text else None
    except ValueError:
        raise invalid_parameter(name, "Please enter an integer value") from None


USUAL_BRIDGE_FD = 15
"""The forward delay of a bridge, in seconds."""


def bridge_params(form: Form) -> dict[str, object] | None:
    """Return the parameters of the bridges for an acquired machine; None if it gets none."""
    bridges = strict_boolean(form, "bridge_all")
    kind = last(form, "bridge_type")
    if kind not in ("", "standard", "ovs"):
        raise invalid_parameter("bridge_type", f"Value must be one of: standard; ovs (not {kind!r})")
    has_stp, delay = strict_boolean(form, "bridge_stp"), integer(form, "bridge_fd")
    if not bridges:
        return None
    return {
        "bridge_type": kind or "standard",
        "bridge_stp": has_stp,
        "bridge_fd": USUAL_BRIDGE_FD if delay is None else delay,
    }


def image(form: Form, known: Sequence[str] = IMAGES) -> str:
    """Return the image for ``distro_series``, as ``osystem/series``; 400 with all choices if it does not exist."""
    asked = last(form, "distro_series")
    by_series = {name.partition("/")[2]: name for name in known}
    found = asked if asked in known else _SHORT.get(asked) or by_series.get(asked)
    if found is None or found not in known:
        choice = ", ".join(repr(name) for name in ("", *known))
        message = f"'{asked}' is not a valid distro_series.  It should be one of: {choice}."
        raise invalid("distro_series", message)
    return found


def kernel(form: Form, chosen: str, architecture: str) -> str | None:
    """Return the kernel to boot: the one in ``hwe_kernel`` if the image has it, or the image's default."""
    known = KERNELS.get(chosen, ())
    asked = last(form, "hwe_kernel")
    if asked and asked not in known:
        raise invalid("hwe_kernel", f"{asked} is not available for {chosen} on {architecture}.")
    return asked or next(iter(known), None)
