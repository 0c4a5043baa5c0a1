"""The DNS resources of the API: domains, names with addresses, and other records."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from maas_simulator.http.address_resources import add_address, address_json
from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.organisation_resources import rename_in_machines
from maas_simulator.http.render import domain_json
from maas_simulator.http.resources import Resource, by_id_or_name, check_admin, record_json
from maas_simulator.model.fields import Field, Invalid, RecordForm, boolean, choice, text, whole
from maas_simulator.model.forms import Form, each, last, mandatory
from maas_simulator.model.records import Record, Tables
from maas_simulator.model.refusals import Refusal, invalid_parameter, not_found, not_simulated
from maas_simulator.model.scripts import JSON
from maas_simulator.operations.addresses import best_subnet
from maas_simulator.state import RegionState

MOST_SERIAL: Final = 2**32 - 1
LONGEST_TTL: Final = 604800
RECORD_TYPES: Final = ("CNAME", "MX", "NS", "SRV", "SSHFP", "TXT")
_LABEL: Final = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?")
_TTL: Final = whole(1, LONGEST_TTL)


def _domain_name(_tables: Tables, value: str) -> str:
    wrong = list(_name_errors(value.strip()))
    if wrong:
        raise Invalid(*wrong)
    return value.strip()


def _name_errors(name: str) -> Iterator[str]:
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        yield "Domain name contains invalid characters."
    for label in name.split("."):
        if label.startswith("-") or label.endswith("-"):
            yield f"Label cannot start or end with hyphen: {label!r}."
        elif not label:
            yield "DNS name contains an empty label."
        elif not _LABEL.fullmatch(label):
            yield f"Label contains disallowed characters: {label!r}."


def _check_domain_deletion(call: Call, domain: Record) -> None:
    if domain_json(call.region, domain)["is_default"]:
        raise Refusal(400, "This domain is the default domain, it cannot be deleted.")
    if domain["id"] == 0 or any(machine.domain == domain["name"] for machine in call.region.machines.values()):
        raise not_simulated("deleting a domain that has machines")
    if call.region.tables["Device"].where(domain=domain["id"]):
        raise not_simulated("deleting a domain that has devices")


def _set_default(call: Call, domain: Record) -> None:
    for other in call.region.tables["Domain"].values():
        other["is_default"] = other is domain


def _set_serial(call: Call) -> Answer:
    """Set the serial of the zones' SOA records, which is not shown anywhere."""
    check_admin(call)
    serial = mandatory(call.form, "serial")
    if not serial.isdecimal():
        raise invalid_parameter("serial", "Please enter an integer value")
    if not 1 <= int(serial) <= MOST_SERIAL:
        limit = "1 or greater" if int(serial) < 1 else f"{MOST_SERIAL} or smaller"
        raise invalid_parameter("serial", f"Please enter a number that is {limit}")
    return Answer(text="OK", content_type="text/plain; charset=utf-8")


DOMAINS: Final = Resource(
    "Domain",
    "domains/",
    "domains/{id}/",
    domain_json,
    form=RecordForm(
        "Domain",
        Field("name", _domain_name, required=True, unique=True),
        Field("authoritative", boolean, default=True),
        Field("ttl", _TTL, default=None),
    ),
    find=by_id_or_name,
    from_call=lambda _call: {"is_default": False},
    after_update=rename_in_machines("domain"),
    before_delete=_check_domain_deletion,
    more_many={("POST", "set_serial"): _set_serial},
    changes={"set_default": _set_default},
)


def _fqdn(region: RegionState, name: Record) -> str:
    domain = region.tables["Domain"][name["domain"]]["name"]
    return domain if name["name"] == "@" else f"{name['name']}.{domain}"


def _fqdn_of_record(region: RegionState, record: Record) -> str:
    return _fqdn(region, region.tables["DNSResource"][record["dnsresource"]])


_record_json: Final = record_json("dnsresourcerecords", "dnsresource", fqdn=_fqdn_of_record)


def _addresses_json(region: RegionState, name: Record) -> list[JSON]:
    return [address_json(region, address) for address in region.tables["StaticIPAddress"].where(dnsresource=name["id"])]


def _records_json(region: RegionState, name: Record) -> list[JSON]:
    return [_record_json(region, record) for record in region.tables["DNSData"].where(dnsresource=name["id"])]


def _with_domain(call: Call) -> Form:
    """The parameters with the name and the domain of an ``fqdn``. MAAS looks for the domain before the form."""
    given = call.form
    name, dot, domain = last(given, "fqdn").partition(".")
    if name and not last(given, "name"):
        if not dot and not last(given, "domain"):
            raise Refusal(500, "cannot unpack non-iterable NoneType object")
        given = {**given, "name": [name], **({"domain": [domain]} if dot else {})}
    asked = last(given, "domain")
    if asked:
        found = DOMAINS.find(call, call.region.tables["Domain"], asked)
        if found is None:
            raise not_found("Domain")
        given = {**given, "domain": [str(found["id"])]}
    for ip in _addresses(call):
        try:
            ip_address(ip)
        except ValueError:
            raise Refusal(500, f"failed to detect a valid IP address from {ip!r}") from None
    return given


def _addresses(call: Call) -> list[str]:
    return [part for value in each(call.form, "ip_addresses") for part in value.split()]


_NAMED: Final = (
    Field("name", text(191, r"[\w@*.-]+", "Invalid dnsresource name."), required=True),
    Field("domain", whole(), required=True),
)


def _store_addresses(call: Call, name: Record) -> None:
    if "ip_addresses" in call.form:
        call.region.tables["StaticIPAddress"].delete_where(dnsresource=name["id"])
        for ip in _addresses(call):
            add_address(call, ip, best_subnet(call.region, ip), name["id"])


NAMES: Final = Resource(
    "DNSResource",
    "dnsresources/",
    "dnsresources/{id}/",
    record_json(
        "dnsresources", "name", "domain", fqdn=_fqdn, ip_addresses=_addresses_json, resource_records=_records_json
    ),
    form=RecordForm("DNS resource", *_NAMED, Field("address_ttl", whole(0, 2**31 - 1), default=None)),
    given=_with_domain,
    find=by_id_or_name,
    after_save=_store_addresses,
)


_RECORD_FIELDS: Final = (
    Field("rrtype", lambda tables, value: choice(*RECORD_TYPES)(tables, value.upper()), required=True),
    Field("rrdata", text(), required=True),
    Field("ttl", _TTL, default=None),
)


_NEW_RECORD: Final = RecordForm("DNS record", *_NAMED, *_RECORD_FIELDS)


def _create_record(call: Call) -> Answer:
    check_admin(call)
    tables = call.region.tables
    values = _NEW_RECORD.clean(tables, _with_domain(call), None)
    name = {field: values.pop(field) for field in ("name", "domain")}
    owner = next(iter(tables["DNSResource"].where(**name)), None) or tables["DNSResource"].add(**name, address_ttl=None)
    return Answer(_record_json(call.region, tables["DNSData"].add(**values, dnsresource=owner["id"])))


def _remove_empty_name(call: Call, record: Record) -> None:
    """Remove a name with its last record, as MAAS does."""
    tables, number = call.region.tables, record["dnsresource"]
    left = [each for kind in ("DNSData", "StaticIPAddress") for each in tables[kind].where(dnsresource=number)]
    if left == [record]:
        del tables["DNSResource"][number]


RECORDS: Final = Resource(
    "DNSData",
    "dnsresourcerecords/",
    "dnsresourcerecords/{id}/",
    _record_json,
    form=RecordForm("DNS record", *_RECORD_FIELDS),
    before_delete=_remove_empty_name,
    name="DNSResourceRecord",
    more_many={("POST", None): _create_record},
)
