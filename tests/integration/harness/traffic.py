"""Some days of mail, written into Redis as nixied would have counted it."""

import datetime
import math
import random

from . import oracle

HOUR = 3600
# (field of stats, of a thousand)
OUTCOMES = (
    ("delivery", 930), ("delay|greylisted", 30), ("delay|rate_limited", 9),
    ("delay|unreachable", 7), ("bounce|user_unknown", 21),
    ("bounce|mailbox_full", 6), ("bounce|spam_content", 4),
    ("bounce|account_disabled", 3), ("expiration|unreachable", 2),
    ("out_of_band|user_unknown", 1), ("feedback|complaint", 1),
    ("suppressed|user_unknown", 14), ("suppressed|unsubscribe", 5),
    ("rejection|user_unknown", 8), ("suppression_added|user_unknown", 4),
)


def hour_text(seconds):
    return datetime.datetime.fromtimestamp(
        seconds, datetime.timezone.utc).strftime("%Y%m%d%H")


def time_text(seconds):
    return datetime.datetime.fromtimestamp(
        seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def day_curve(seconds):
    """More by day than by night, less on Saturday and Sunday."""
    hour = seconds // HOUR % 24
    weekend = (seconds // 86400 + 3) % 7 >= 5
    return (0.25 + max(0, math.sin((hour - 5) / 16 * math.pi))) * (
        0.4 if weekend else 1)


def outage(seconds, now):
    """A large provider is away on one working day."""
    day = now // 86400 * 86400
    day -= 86400 * (3 if (day // 86400 + 3) % 7 in (0, 1, 6) else 1)
    return day + 9 * HOUR <= seconds < day + 14 * HOUR


class Traffic:
    """What there is in Redis, so that a test can ask for it."""

    def __init__(self, redis, now, prefix="nixie:", seed=7):
        self.redis = redis
        self.now = int(now)
        self.prefix = prefix
        self.random = random.Random(seed)
        self.stats = {}  # hour's begin -> {field: count}

    def key(self, kind, name):
        return oracle.history_key(self.prefix, kind, name).decode()

    def count(self, seconds, field, number, buckets=3):
        """Of an hour, spread over some of the buckets."""
        hour = seconds // HOUR * HOUR
        counts = self.stats.setdefault(hour, {})
        counts[field] = counts.get(field, 0) + number
        commands = []
        for i in range(buckets):
            part = number // buckets + (number % buckets if i == 0 else 0)
            bucket = self.random.randrange(64)
            commands.append((
                "HINCRBY",
                f"{self.prefix}{{{bucket:02d}}}:stats:{hour_text(hour)}",
                field, part))
        return commands

    def write(self, commands):
        with self.redis.client(60) as client:
            for i in range(0, len(commands), 500):
                client.pipeline(commands[i:i + 500])

    def days(self, days, an_hour=1800):
        """So many days of it, the hour that runs included."""
        commands = []
        first = (self.now - days * 86400) // HOUR * HOUR + HOUR
        for hour in range(first, self.now + 1, HOUR):
            mails = an_hour * day_curve(hour) * self.random.uniform(0.85, 1.15)
            if hour + HOUR > self.now:
                mails *= (self.now - hour) / HOUR
            for field, share in OUTCOMES:
                number = mails * share / 1000
                if outage(hour, self.now):
                    if field == "delivery":
                        number *= 0.72
                    elif field == "delay|unreachable":
                        number *= 22
                number = int(number + self.random.random())
                if number:
                    commands += self.count(hour, field, number)
        self.write(commands)

    def domain(self, name, reason, failures, deliveries, down=None, waiting=0):
        """Of the last hours; down: since so many seconds."""
        commands = []
        for i in range(6):
            hour = hour_text(self.now - i * HOUR)
            key = self.key("domain", name).replace(
                f":domain:{name}", f":hour:{hour}")
            commands.append(("HINCRBY", key, f"{name}|{reason}",
                             failures // 6 + (failures % 6 if i == 0 else 0)))
            commands.append(("HINCRBY", key, f"{name}|deliveries",
                             deliveries // 6))
        key = self.key("domain", name)
        commands.append(("HSET", key, "deliveries", deliveries,
                         "delays", failures, "last_failure_reason", reason,
                         "last_failure_at", time_text(self.now - 90)))
        if deliveries:
            commands.append(("HSET", key, "last_delivery_at",
                             time_text(self.now - (down or 30) - 60)))
        if down:
            since = time_text(self.now - down)
            commands.append(("HSET", key, "down_since", since, "down_reason",
                             reason, "failing_since", since,
                             "consecutive_failures", failures))
            commands.append(("HSET", key.replace(f":domain:{name}", ":down"),
                             name, since))
        for i in range(waiting):
            commands.append(("ZADD",
                             key.replace(":domain:", ":waiting:"),
                             self.now - i, f"4bXk2s{i:05d} ann{i}@{name}"))
        self.write(commands)

    def suppress(self, pattern, **fields):
        expires = fields.pop("expires", None)
        key = f"{self.prefix}suppress:{pattern}"
        words = [word for pair in fields.items() for word in pair]
        commands = [("HSET", key, *words)]
        if expires:
            commands.append(("EXPIREAT", key, self.now + expires))
        self.write(commands)

    def recipient(self, address, **fields):
        words = [word for pair in fields.items() for word in pair]
        self.write([("HSET", self.key("recipient", address), *words)])

    def evidence(self, address, *lines):
        key = self.key("evidence", address)
        self.write([("RPUSH", key, *lines)])

    def strikes(self, address, *ages):
        key = self.key("strikes", address)
        self.write([("ZADD", key, self.now - age, f"4bXk2s1Z{i}")
                    for i, age in enumerate(ages)])
