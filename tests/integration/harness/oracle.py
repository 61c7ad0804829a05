"""What Redis must hold, folded from the event log by independent code.

Follows the description of keys and effects, not nixied's source.
"""

import binascii

BUCKETS = 64
COUNTS = {
    "reception": "receptions",
    "rejection": "rejections",
    "suppressed": "suppressed",
    "would_suppress": "would_suppress",
}
# Field of the recipient's hash <- member of the event; and last_reason.
LAST = {
    "last_type": "type",
    "last_enhanced_status": "enhanced_status",
    "last_diagnostic": "diagnostic",
    "last_queue_id": "queue_id",
}


LISTS = ("suppression_added", "suppression_updated", "suppression_removed",
         "allow_added", "allow_removed")
VALUE_MAX = 512  # bytes of a value
REASON_MAX = 64  # bytes of a reason in the name of a stats field


def bounded(text, limit):
    """At most limit bytes of UTF-8, no character halved."""
    return text.encode()[:limit].decode(errors="ignore")


def reason_of(event):
    """For refusals of ours the entry's reason."""
    if event["type"] in ("suppressed", "would_suppress"):
        return event.get("suppression_reason") or event.get("reason")
    return event.get("reason")


def bucket(text):
    return binascii.crc_hqx(text.encode(), 0) % BUCKETS


def history_key(prefix, kind, name, bucket_name=None):
    number = bucket(name if bucket_name is None else bucket_name)
    return f"{prefix}{{{number:02d}}}:{kind}:{name}".encode()


class Store:
    """{key: {field: value}}, all bytes, and the checkpoints' lower bounds."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.hashes = {}
        self.checkpoints = {}  # (bucket, instance) -> last seq with effects

    def fold(self, events):
        for event in sorted(events, key=lambda event: event["seq"]):
            if event["type"] in COUNTS:
                self.outcome(event)
            elif event["type"] in LISTS:
                self.list_change(event)
        return self

    def list_change(self, event):
        """The entry itself is compared by the tests that make it."""
        pattern = event["suppression_pattern"]
        name = pattern.lstrip("@.") if pattern.startswith("@") else pattern
        self.stats(event, name)
        self.reached(event, name)

    def hash(self, kind, name, bucket_name=None):
        key = history_key(self.prefix, kind, name, bucket_name)
        return self.hashes.setdefault(key, {})

    @staticmethod
    def add(fields, name):
        fields[name] = fields.get(name, 0) + 1

    def outcome(self, event):
        recipient = event.get("recipient")
        domain = event.get("recipient_domain")
        if recipient:
            last = {field: event.get(member)
                    for field, member in LAST.items()}
            last["last_reason"] = reason_of(event)
            self.apply(self.hash("recipient", recipient), event, last)
            self.reached(event, recipient)
        if domain:
            self.apply(self.hash("domain", domain), event,
                       {"last_type": event["type"]})
            self.reached(event, domain)
        if recipient or domain:
            self.stats(event, recipient or domain)

    def reached(self, event, name):
        key = (bucket(name), event["instance"])
        self.checkpoints[key] = max(self.checkpoints.get(key, 0),
                                    event["seq"])

    def apply(self, fields, event, last):
        when = event["timestamp"]
        self.add(fields, COUNTS[event["type"]])
        if event["type"] == "reception":
            fields["last_reception_at"] = max(
                fields.get("last_reception_at", ""), when)
            return
        fields["first_at"] = min(fields.get("first_at", when), when)
        if when < fields.get("last_at", ""):
            return
        fields["last_at"] = when
        for field, value in last.items():
            if value:
                fields[field] = bounded(value, VALUE_MAX)
            else:
                fields.pop(field, None)

    def stats(self, event, name):
        hour = event["timestamp"][:13].replace("-", "").replace("T", "")
        reason = bounded(reason_of(event) or "", REASON_MAX)
        field = event["type"] + (f"|{reason}" if reason else "")
        self.add(self.hash("stats", hour, name), field)

    def encoded(self):
        return {key: {field.encode(): str(value).encode()
                      for field, value in fields.items()}
                for key, fields in self.hashes.items()}


def checkpoints(redis, prefix):
    """{(bucket, instance): seq} as Redis has them."""
    found = {}
    for key, fields in redis.hashes(prefix + "{*}:checkpoint").items():
        number = int(key[len(prefix) + 1:len(prefix) + 3])
        for instance, seq in fields.items():
            found[(number, instance.decode())] = int(seq)
    return found


def differences(redis, prefix, events):
    """Texts, one for each field in which Redis is not the fold; [] is good."""
    store = Store(prefix).fold(events)
    wanted = store.encoded()
    found = {}
    for kind in ("recipient", "domain", "stats"):
        found.update(redis.hashes(f"{prefix}{{*}}:{kind}:*"))
    texts = []
    for key in sorted(set(wanted) | set(found)):
        ours, theirs = wanted.get(key, {}), found.get(key, {})
        for field in sorted(set(ours) | set(theirs)):
            if ours.get(field) != theirs.get(field):
                texts.append(f"{key} {field}: log {ours.get(field)} "
                             f"Redis {theirs.get(field)}")
    return texts + checkpoint_differences(redis, prefix, store, events)


def checkpoint_differences(redis, prefix, store, events):
    texts = []
    have = checkpoints(redis, prefix)
    highest = {}
    for event in events:
        instance = event["instance"]
        highest[instance] = max(highest.get(instance, 0), event["seq"])
    for key, seq in store.checkpoints.items():
        if have.get(key, 0) < seq:
            texts.append(f"checkpoint {key}: log {seq} Redis {have.get(key)}")
    for key, seq in have.items():
        if seq > highest.get(key[1], seq):
            texts.append(f"checkpoint {key}: {seq} is above the log")
    return texts


def behind(redis, prefix, events):
    """The checkpoints that are not there yet."""
    store = Store(prefix).fold(events)
    have = checkpoints(redis, prefix)
    return {key: (have.get(key), seq)
            for key, seq in store.checkpoints.items()
            if have.get(key, 0) < seq}
