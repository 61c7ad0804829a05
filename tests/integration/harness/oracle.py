"""What Redis must hold, folded from the event log by independent code.

Follows the description of keys and effects, not nixied's source.
"""

import binascii
import datetime
import time

BUCKETS = 64
DAY = 86400
HOUR = 3600
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
COUNTS = {
    "reception": "receptions",
    "rejection": "rejections",
    "suppressed": "suppressed",
    "would_suppress": "would_suppress",
    "delivery": "deliveries",
    "delay": "delays",
    "bounce": "bounces",
    "expiration": "expirations",
    "out_of_band": "out_of_band",
    "feedback": "feedback",
}
FAILURES = ("delay", "bounce", "expiration", "out_of_band", "feedback")
DECISIONS = ("suppression_withheld", "breaker_opened", "breaker_closed",
             "domain_down", "domain_up", "recipient_forgotten")
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


def is_report(event):
    return event.get("origin") == "report"


def counts_nowhere(event):
    """A report that is not believed, or that the log tells too."""
    return is_report(event) and event["type"] in COUNTS and (
        not event.get("trace_id") or event.get("trace") == "none")


def is_sure(event):
    """Not a report that somebody else could have sent."""
    return not is_report(event) or event.get("trace") == "valid"


def reason_of(event):
    """For refusals of ours the entry's reason."""
    if counts_nowhere(event):
        told = event.get("trace", "none") != "none"
        return "told_by_log" if told else "trace_none"
    if event["type"] in ("suppressed", "would_suppress"):
        return event.get("suppression_reason") or event.get("reason")
    return event.get("reason")


REQUESTS = "complaint", "unsubscribe"


def scope_of(event):
    """Whose list it is about, "" being that for all, "*" its requests."""
    asked = event.get("reason") in REQUESTS
    outcome = event["type"] in COUNTS
    if event.get("scope"):
        return "" if outcome and not asked else event["scope"]
    if asked and (outcome or event["type"] == "suppression_withheld"):
        return "*"
    return ""


def scoped(name, scope, between="@"):
    return f"{name}{between}{scope}" if scope else name


def bucket(text):
    return binascii.crc_hqx(text.encode(), 0) % BUCKETS


def seconds_of(event):
    """Whole seconds since 1970."""
    when = datetime.datetime.fromisoformat(
        event["timestamp"].replace("Z", "+00:00"))
    return (when - EPOCH) // datetime.timedelta(seconds=1)


def shifted(timestamp, seconds):
    """The same, seconds later."""
    when = datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    when += datetime.timedelta(seconds=seconds)
    return f"{when.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def hour_of(event):
    return event["timestamp"][:13].replace("-", "").replace("T", "")


def pattern_owner(pattern):
    """What a pattern's bucket goes by."""
    return pattern.lstrip("@.") if pattern.startswith("@") else pattern


def is_address(pattern):
    return not pattern.startswith("@") and not pattern.endswith("@")


def history_key(prefix, kind, name, bucket_name=None):
    """name "": a kind of which a bucket has one key."""
    number = bucket(name if bucket_name is None else bucket_name)
    colon = ":" if name else ""
    return f"{prefix}{{{number:02d}}}:{kind}{colon}{name}".encode()


def in_order(events):
    """As they were read, but those of an instance by seq."""
    ordered = list(events)
    places = {}
    for place, event in enumerate(events):
        places.setdefault(event["instance"], []).append(place)
    for own in places.values():
        rising = sorted((events[place] for place in own),
                        key=lambda event: event["seq"])
        for place, event in zip(own, rising):
            ordered[place] = event
    return ordered


class Store:
    """{key: {field: value}}, all bytes, and the checkpoints' lower bounds."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.hashes = {}   # and sorted sets: {member: score}
        self.evidence = {}  # address -> lines, the latest first
        self.ends = {}     # key -> seconds since 1970
        self.now = time.time()
        self.checkpoints = {}  # (bucket, instance) -> last seq with effects

    def fold(self, events):
        for event in in_order(events):
            if event["type"] in COUNTS:
                self.outcome(event)
            elif event["type"] in LISTS:
                self.list_change(event)
            elif event["type"] in DECISIONS:
                self.decision(event)
        return self

    def list_change(self, event):
        """The entry itself is compared by the tests that make it."""
        pattern = event["suppression_pattern"]
        owner = pattern_owner(pattern)
        if event["origin"] == "redis":  # told, not done
            self.stats(event, owner)
            self.reached(event, owner)
            return
        added = event["type"] == "suppression_added"
        ours = added and event.get("suppression_origin") == "policy"
        if is_address(pattern) and event["type"] in (
                "suppression_added", "suppression_removed", "allow_added"):
            asked = ours and event["suppression_reason"] in REQUESTS
            scopes = [event.get("scope", "")]
            if not scopes[0] and (asked or not ours):
                scopes.append("*")
            for scope in scopes:
                self.settle(pattern, scope, strikes=ours or not added)
                if event["type"] == "suppression_removed":
                    for name in ("escalation", "escalated_at"):
                        self.hash("recipient", pattern).pop(
                            scoped(name, scope), None)
            if ours:
                self.climb(event, self.hash("recipient", pattern), scopes[-1])
        self.stats(event, owner)
        self.reached(event, owner)

    def decision(self, event):
        kind, domain = event["type"], event.get("recipient_domain")
        if kind == "suppression_withheld":
            owner = event["recipient"]
            self.settle(owner, scope_of(event), strikes=True)
        elif kind == "recipient_forgotten":
            owner = event["recipient"]
            for name in ("recipient", "strikes"):
                self.hash(name, owner).clear()
            self.ends.pop(history_key(self.prefix, "strikes", owner), None)
            self.evidence.pop(owner, None)
            self.hash("due", "", owner).pop(owner, None)
            self.hash("forgotten", "", owner)[event["pseudonym"]] = \
                event["timestamp"]
            self.hash("waiting", domain).pop(
                f"{event.get('queue_id')} {owner}", None)
            for scope in {"*", scope_of(event)} - {""}:
                self.settle(owner, scope, strikes=True)
        elif kind.startswith("breaker_"):
            owner = domain or "*"
            fields = self.hash("breaker", "", owner)
            fields.pop(f"{owner}|{event['reason']}", None)
            if kind == "breaker_opened":
                fields[f"{owner}|{event['reason']}"] = \
                    f"{event['expires_at']} {event['instance']}"
        else:
            owner = domain
            fields = self.hash("domain", domain)
            down = self.hash("down", "", domain)
            down.pop(domain, None)
            for name in ("down_since", "down_reason"):
                fields.pop(name, None)
            if kind == "domain_down":
                fields["down_since"] = event.get("first_attempt_at",
                                                 event["timestamp"])
                down[domain] = fields["down_since"]
                if event.get("reason"):
                    fields["down_reason"] = event["reason"]
            self.domain_due(event, None)
        self.stats(event, owner)
        self.reached(event, owner)

    def settle(self, address, scope, strikes):
        """Nothing is due of the address any more."""
        for name in ("due_by", "due_at"):
            self.hash("recipient", address).pop(scoped(name, scope), None)
        self.hash("due", "", address).pop(scoped(address, scope, " "), None)
        if strikes:
            self.drop(self.hash(scoped("strikes", scope), address))

    @staticmethod
    def drop(members, below=None, upto=None):
        """All of them, or those with lower scores."""
        for name in list(members):
            score = members[name]
            if ((below is None and upto is None)
                    or (below is not None and score < below)
                    or (upto is not None and score <= upto)):
                del members[name]

    def domain_due(self, event, what):
        domain = event["recipient_domain"]
        due = self.hash("due", "", domain)
        fields = self.hash("domain", domain)
        due.pop("@" + domain, None)
        fields.pop("due_by", None)
        if what:
            due["@" + domain] = what
            fields["due_by"] = event["instance"]

    # ---- what the recipient has of it ----

    def climb(self, event, fields, scope):
        """A step of the ladder, unless there was a delivery since."""
        when = event["timestamp"]
        if scope or when > fields.get("last_delivery_at", ""):
            at = scoped("escalated_at", scope)
            self.add(fields, scoped("escalation", scope))
            fields[at] = max(when, fields.get(at, ""))

    def delivered(self, event, fields):
        address, when = event["recipient"], event["timestamp"]
        if when >= fields.get("last_delivery_at", ""):
            fields["last_delivery_at"] = when
            if when > fields.get("escalated_at", ""):
                fields.pop("escalation", None)
                fields.pop("escalated_at", None)
            if when > fields.get("due_at", ""):
                self.settle(address, "", strikes=False)
        self.drop(self.hash("strikes", address), upto=seconds_of(event))

    def failed(self, event, fields):
        address, now = event["recipient"], seconds_of(event)
        limit, scope = event.get("strike_limit", 0), scope_of(event)
        if (not event.get("counted") or limit < 1 or not scope
                and event["timestamp"] <= fields.get("last_delivery_at", "")):
            return
        days = event.get("strike_days", 1 if limit == 1 else 3)
        since = now - event.get("strike_window_seconds", 30 * DAY)
        member = bounded(is_report(event) and event["trace_id"].split("-")[0]
                         or not is_report(event) and event.get("trace_nonce")
                         or event.get("queue_id") or event.get("message_id")
                         or event.get("envelope_id") or event["event_id"], 128)
        kind = scoped("strikes", scope)
        strikes = self.hash(kind, address)
        if not strikes:
            self.ends.pop(history_key(self.prefix, kind, address), None)
        if member not in strikes or event["type"] != "delay":
            self.tell(event)
        strikes[member] = min(now, strikes.get(member, now))
        self.drop(strikes, below=since)
        counted = [at for at in strikes.values() if since < at <= now]
        if (len(counted) >= limit
                and len({at // DAY for at in counted}) >= days):
            self.due(event, fields)
        self.extend(kind, address, strikes, now + now - since)

    def extend(self, kind, name, members, end):
        """The key lives as long; what ended before now is gone at once."""
        key = history_key(self.prefix, kind, name)
        if members:
            self.ends[key] = max(end, self.ends.get(key, end))
        if not members or self.ends[key] <= self.now:
            members.clear()
            self.ends.pop(key, None)

    def due(self, event, fields):
        """Whoever is deciding already is left to it, for ten minutes."""
        address, scope = event["recipient"], scope_of(event)
        at = scoped("due_at", scope)
        if shifted(event["timestamp"], -600) > fields.get(at, ""):
            policy = "" if scope else event.get("scope", "")
            self.hash("due", "", address)[scoped(address, scope, " ")] = \
                scoped(event["reason"], policy)
            fields[scoped("due_by", scope)] = event["instance"]
            fields[at] = event["timestamp"]

    def tell(self, event):
        words = [event["timestamp"], event.get("queue_id"),
                 bounded(event.get("message_id", ""), 200),
                 event.get("reply_code"), event.get("enhanced_status"),
                 event.get("reason")]
        line = " ".join(str(word or "-") for word in words)
        line += " " + bounded(event.get("diagnostic", ""), 300)
        lines = self.evidence.setdefault(event["recipient"], [])
        lines[:] = [line.encode(), *lines][:3]

    # ---- what its domain has of it ----

    def domain_delivered(self, event, fields):
        when = event["timestamp"]
        if when >= fields.get("last_delivery_at", ""):
            fields["last_delivery_at"] = when
            for name in ("consecutive_failures", "failing_since"):
                fields.pop(name, None)
            self.domain_due(event, "up" if "down_since" in fields else None)
        self.count_hour(event, "deliveries")

    def domain_failed(self, event, fields):
        when = event["timestamp"]
        if when <= fields.get("last_delivery_at", ""):
            return
        self.add(fields, "consecutive_failures")
        fields["failing_since"] = min(fields.get("failing_since", when), when)
        if when >= fields.get("last_failure_at", ""):
            fields["last_failure_at"] = when
            fields["last_failure_reason"] = event["reason"]
        if fields["consecutive_failures"] >= 10 and "down_since" not in fields:
            self.domain_due(event, "down")

    def count_hour(self, event, what):
        domain = event["recipient_domain"]
        fields = self.hash("hour", hour_of(event), domain)
        self.add(fields, f"{domain}|{what}")
        self.add(fields, f"|{what}")
        self.ends[history_key(self.prefix, "hour", hour_of(event), domain)] = (
            seconds_of(event) // HOUR * HOUR + HOUR + 7 * DAY)

    def domain_outcome(self, event, fields):
        kind = event["type"]
        if (kind in ("delivery", "delay", "bounce", "expiration")
                and event.get("queue_id") and event.get("recipient")
                and not is_report(event)):
            waiting = self.hash("waiting", event["recipient_domain"])
            member = f"{event['queue_id']} {event['recipient']}"
            waiting.pop(member, None)
            if kind == "delay":
                waiting[member] = seconds_of(event)
                self.extend("waiting", event["recipient_domain"], waiting,
                            seconds_of(event) + 10 * DAY)
        if kind == "delivery" and is_sure(event):
            self.domain_delivered(event, fields)
        if (kind in ("delay", "bounce", "expiration")
                and event.get("destination")):
            self.domain_failed(event, fields)
        if event.get("counted") and (
                kind in ("bounce", "expiration", "out_of_band")
                or kind == "delay" and event.get("attempt") == 1):
            self.count_hour(event, event["reason"])

    # ---- counts ----

    def hash(self, kind, name, bucket_name=None):
        key = history_key(self.prefix, kind, name, bucket_name)
        return self.hashes.setdefault(key, {})

    @staticmethod
    def add(fields, name, number=1):
        fields[name] = fields.get(name, 0) + number

    def first(self, event, owner):
        """Whether the event counts in this bucket: a report does once."""
        if not is_report(event):
            return True
        name = f"{event['trace_id']}|{event['type']}"
        key = history_key(self.prefix, "seen", name, owner)
        end = seconds_of(event) + 21 * DAY
        if key in self.hashes:
            return False
        if end > self.now:
            self.hashes[key] = {"once": 1}
            self.ends[key] = end
        return True

    def outcome(self, event):
        if "aggregated" in event:
            self.stats(event, "")  # the hash of nothing is 0
            self.reached(event, "")
            return
        recipient = event.get("recipient")
        domain = event.get("recipient_domain")
        if not recipient and not domain:
            return
        if counts_nowhere(event):
            self.stats(event, recipient or domain)
            self.reached(event, recipient or domain)
            return
        first = self.first(event, recipient or domain)
        self.reached(event, recipient or domain)
        if first:
            self.stats(event, recipient or domain)
        if recipient and first:
            last = {field: event.get(member)
                    for field, member in LAST.items()}
            last["last_reason"] = reason_of(event)
            fields = self.hash("recipient", recipient)
            self.apply(fields, event, last)
            if event["type"] == "delivery" and is_sure(event):
                self.delivered(event, fields)
            elif event["type"] in FAILURES:
                self.failed(event, fields)
        if domain:
            if recipient and bucket(recipient) != bucket(domain):
                first = self.first(event, domain)
            self.reached(event, domain)
        if domain and first:
            fields = self.hash("domain", domain)
            self.apply(fields, event, {"last_type": event["type"]})
            self.domain_outcome(event, fields)

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
        reason = bounded(reason_of(event) or "", REASON_MAX)
        field = event["type"] + (f"|{reason}" if reason else "")
        self.add(self.hash("stats", hour_of(event), name), field,
                 event.get("aggregated", 1))

    def encoded(self):
        now = time.time()
        return {key: {field.encode(): str(value).encode()
                      for field, value in fields.items()}
                for key, fields in self.hashes.items()
                if fields and self.ends.get(key, now) >= now}


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
    for kind in ("recipient:*", "domain:*", "stats:*", "hour:*", "seen:*",
                 "due", "breaker", "down", "forgotten"):
        found.update(redis.hashes(f"{prefix}{{*}}:{kind}"))
    for kind in ("strikes:*", "strikes@*", "waiting:*"):
        for key in redis.keys(f"{prefix}{{*}}:{kind}"):
            words = redis.command("ZRANGE", key, 0, -1, "WITHSCORES")
            if words:  # else it has ended since
                found[key] = dict(zip(words[::2], words[1::2]))
    texts = evidence_differences(redis, prefix, store)
    for key in sorted(set(wanted) | set(found)):
        ours, theirs = wanted.get(key, {}), found.get(key, {})
        for field in sorted(set(ours) | set(theirs)):
            if ours.get(field) != theirs.get(field):
                texts.append(f"{key} {field}: log {ours.get(field)} "
                             f"Redis {theirs.get(field)}")
    return texts + checkpoint_differences(redis, prefix, store, events)


def evidence_differences(redis, prefix, store):
    """The lists of lines, the latest first."""
    wanted = {history_key(prefix, "evidence", address): lines
              for address, lines in store.evidence.items()}
    found = {key: redis.command("LRANGE", key, 0, -1)
             for key in redis.keys(f"{prefix}{{*}}:evidence:*")}
    return [f"{key}: log {wanted.get(key)} Redis {found.get(key)}"
            for key in sorted(set(wanted) | set(found))
            if wanted.get(key) != found.get(key)]


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
