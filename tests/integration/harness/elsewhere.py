"""The log of another instance, with times of our choosing."""

import datetime
import json
import os
import secrets
import time
import uuid

from .oracle import EPOCH

DAY = 86400
WINDOW = 30 * DAY
# reason: (code, status, type, limit, days)
HARD = {
    "user_unknown": (550, "5.1.1"),
    "user_moved": (551, "5.1.6"),
    "address_invalid": (553, "5.1.3"),
    "domain_no_mail": (556, "5.1.10"),
    "account_disabled": (550, "5.2.1"),
}
PADDING = "." * 900


def stamp(seconds):
    """RFC 3339, UTC, with microseconds."""
    when = EPOCH + datetime.timedelta(microseconds=round(seconds * 1e6))
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + "Z"


class Elsewhere:
    """One instance: events are added, then put where nixied finds them."""

    def __init__(self, instance=None):
        self.instance = instance or secrets.token_hex(8)
        self.file_number = 0
        self.seq = 0
        self.lines = []
        self.messages = 0

    def _next(self):
        # as nixied numbers, so that files are in order of their making
        self.seq = max(self.seq + 1, time.time_ns() // 1000)
        return self.seq

    def _line(self, kind, when, **members):
        event = {"schema": "nixie/1", "seq": self._next(),
                 "timestamp": when if isinstance(when, str) else stamp(when),
                 "event_id": f"{uuid.uuid4()}"[:14] + "7" +
                             f"{uuid.uuid4()}"[15:],
                 "type": kind, "node": "elsewhere",
                 "instance": self.instance, **members}
        return {name: value for name, value in event.items()
                if value is not None}

    def add(self, kind, recipient, when, **members):
        """An outcome; members that are None are left out."""
        self.messages += 1
        event = {"origin": "maillog", "maillog_position": "1 0 0",
                 "queue_id": f"Q{self.messages:05d}{self.instance[:4]}",
                 "recipient": recipient,
                 "recipient_domain": recipient.rpartition("@")[2], **members}
        self.lines.append(self._line(kind, when, **event))
        return self.lines[-1]

    def fail(self, recipient, when, reason="user_unknown", kind="bounce",
             **members):
        """A failure that counts by the limits that are the default."""
        hard = reason in HARD and kind == "bounce"
        code, status = HARD.get(reason, (452, "4.2.2"))
        limits = (1, 1) if hard else (5, 3)
        facts = {"reply_code": code, "enhanced_status": status,
                 "diagnostic": f"{code} {status} no", "decided_by": "remote",
                 "reason": reason, "failure_type": "hard" if hard else "soft",
                 "counted": True, "strike_limit": limits[0],
                 "strike_days": limits[1], "strike_window_seconds": WINDOW}
        return self.add(kind, recipient, when, **{**facts, **members})

    def deliver(self, recipient, when, **members):
        return self.add("delivery", recipient, when, **members)

    def complain(self, recipient, when, reason="complaint"):
        return self.add("feedback", recipient, when, origin="report",
                        maillog_position=None, reason=reason,
                        trace="valid", trace_id=f"{secrets.token_hex(6)}-"
                        f"{secrets.token_hex(8)}",
                        failure_type="hard", feedback_type="abuse",
                        counted=True, strike_limit=1, strike_days=1,
                        strike_window_seconds=WINDOW)

    def bytes(self):
        """What was added since the last time, as a file."""
        self.file_number += 1
        first = self._line("log_open", time.time(),
                           file_number=self.file_number,
                           file_nonce=secrets.token_hex(16),
                           version="0", padding=PADDING)
        # its number stands before those of the lines
        numbers = sorted([first["seq"]] + [line["seq"] for line in self.lines])
        lines = [first, *self.lines]
        for line, number in zip(lines, numbers):
            line["seq"] = number
        self.lines = []
        return b"".join(json.dumps(line, separators=(",", ":")).encode() +
                        b"\n" for line in lines)

    def put(self, nixied, data=None):
        """A finished file in the folder of the event log; its path."""
        data = data or self.bytes()
        name = f"events.jsonl.{self.instance}.{self.file_number}"
        hidden = nixied.log_folder / f".{name}"
        hidden.write_bytes(data)
        hidden.chmod(0o644)
        os.rename(hidden, nixied.log_folder / name)
        return nixied.log_folder / name
