"""packaging/event.schema.json itself: it refuses what is no event."""

import json
import re

import pytest

from harness.events import SCHEMA, schema_validator
from harness.nixied import TOP

ELASTIC = ("event host source client server user email error log tls "
           "service agent").split()
RECEPTION = {
    "schema": "nixie/1", "seq": 1795292779849572,
    "timestamp": "2026-11-21T20:26:19.908348Z",
    "event_id": "01a1ffc9-d584-7e92-8a83-5b943b97c162", "type": "reception",
    "node": "mx", "instance": "7316dc32964e1cf7", "origin": "session",
    "session_id": "a", "transaction_id": "a-1", "recipient": "a@b.test",
    "recipient_domain": "b.test", "sender": "", "size": 44,
}
SUPPRESSED = {**RECEPTION, "type": "suppressed", "decided_by": "nixie",
              "action": "reject", "suppression_pattern": "a@b.test"}
BAD = (
    ("null", {"sender": None}),
    ("unknown member", {"colour": "blue"}),
    ("Elastic's object", {"host": "mx"}),
    ("other schema", {"schema": "nixie/2"}),
    ("seq is text", {"seq": "1"}),
    ("seq beyond 2^53", {"seq": 2**53}),
    ("seq with a fraction", {"seq": 1.5}),
    ("time without microseconds", {"timestamp": "2026-11-21T20:26:19Z"}),
    ("local time", {"timestamp": "2026-11-21T20:26:19.908348+01:00"}),
    ("UUIDv4", {"event_id": "01a1ffc9-d584-4e92-8a83-5b943b97c162"}),
    ("unknown type", {"type": "received"}),
    ("no session", {"session_id": None}),
    ("status 6", {"enhanced_status": "6.1.1"}),
    ("reply code as text", {"reply_code": "550"}),
    ("unknown origin", {"origin": "smtp"}),
    ("cut is false", {"cut": False}),
    ("base64 of nothing", {"base64": "AA=="}),
    ("no base64", {"sender_base64": "%%"}),
)


def fails(event):
    return list(schema_validator().iter_errors(event)) != []


def test_events_as_they_should_be_pass():
    for event in (RECEPTION, SUPPRESSED,
                  {**RECEPTION, "sender_base64": "/w==", "cut": True}):
        assert not fails(event)


@pytest.mark.parametrize("change", [row[1] for row in BAD],
                         ids=[row[0] for row in BAD])
def test_event_with_a_fault_is_refused(change):
    assert fails({**RECEPTION, **change})


@pytest.mark.parametrize("name", ["schema", "seq", "timestamp", "event_id",
                                  "type", "node", "instance", "origin",
                                  "session_id", "transaction_id"])
def test_event_without_a_required_member_is_refused(name):
    assert fails({member: value for member, value in RECEPTION.items()
                  if member != name})


def test_refusal_says_who_and_why():
    for name in ("decided_by", "action", "suppression_pattern"):
        assert fails({member: value for member, value in SUPPRESSED.items()
                      if member != name}), name
    tempfail = {**SUPPRESSED, "action": "tempfail"}
    del tempfail["suppression_pattern"]
    assert not fails(tempfail)
    assert fails({**SUPPRESSED, "action": "observe"})


def test_record_about_the_log_has_no_origin():
    record = {member: RECEPTION[member] for member in (
        "schema", "seq", "timestamp", "event_id", "node", "instance")}
    record.update(type="heartbeat", applied_seq=1, lag_seconds=0)
    assert not fails(record)
    assert fails({**record, "origin": "session"})
    assert fails({**record, "type": "gap"})


def test_no_member_has_the_name_of_an_object_of_elastic():
    assert not set(json.loads(SCHEMA.read_text())["properties"]) & set(ELASTIC)


def test_schema_knows_every_member_and_type_of_the_code():
    """Read from the sources as text."""
    schema = json.loads(SCHEMA.read_text())
    code = "".join((TOP / path).read_text()
                   for path in ("include/event.h", "milter/event.c"))
    members = re.findall(r"^ +(TEXT|INTEGER)\((\w+)", code, re.MULTILINE)
    assert len(members) > 30
    for kind, name in members:
        wanted = "integer" if kind == "INTEGER" else "string"
        found = schema["properties"][name]
        assert found.get("type", "string") == wanted, name
    types = re.findall(r'\[EVENT_\w+\] = \{"(\w+)", (?:true|false)\}', code)
    assert len(types) >= 14
    assert set(types) <= set(schema["properties"]["type"]["enum"])


def test_every_member_is_described():
    schema = json.loads(SCHEMA.read_text())
    assert [name for name, member in schema["properties"].items()
            if len(member.get("description", "")) < 10] == []
