"""The event log as a stranger reads it: files, lines, the schema."""

import json
import os
import pathlib

from .wait import wait_until

SCHEMA = (pathlib.Path(__file__).resolve().parents[3] /
          "packaging/event.schema.json")
LINE_MAX = 8000


class Event(dict):
    """The members of a line; .line has its bytes."""

    def __init__(self, members, line):
        self.ecs = "nixie" in members  # event_log_format = "ecs"
        flat = members.pop("nixie", members)
        super().__init__({"schema": members["schema"], "seq": members["seq"],
                          **flat} if self.ecs else members)
        self.fields = members
        self.line = line

    def has(self, wanted):
        return all(self.get(name) == value
                   for name, value in wanted.items())


class EventLog:
    """Follows <path>* in its folder, and in folders named later.

    events holds every event read so far in the order it was found; torn the
    lines that are no JSON.
    """

    def __init__(self, path):
        self.name = os.path.basename(path)
        self.folders = [os.path.dirname(path)]
        self.offsets = {}
        self.files = {}  # (device, inode) -> its events, in file order
        self.events = []
        self.torn = []
        self.checked = 0

    def paths(self):
        """(device, inode), size and path of each file."""
        for folder in self.folders:
            try:
                names = sorted(os.listdir(folder))
            except FileNotFoundError:
                continue
            for name in names:
                if name.startswith(self.name):
                    path = os.path.join(folder, name)
                    try:
                        status = os.stat(path)
                    except FileNotFoundError:
                        continue  # renamed meanwhile: the next time
                    yield (status.st_dev, status.st_ino), status.st_size, path

    def read(self):
        """Takes what is new; returns all events."""
        for identity, size, path in list(self.paths()):
            offset = self.offsets.get(identity, 0)
            if size <= offset:
                continue
            try:
                with open(path, "rb") as file:
                    status = os.fstat(file.fileno())
                    if (status.st_dev, status.st_ino) != identity:
                        continue  # renamed meanwhile: the next time
                    file.seek(offset)
                    data = file.read()
            except FileNotFoundError:
                continue
            end = data.rfind(b"\n") + 1
            self.offsets[identity] = offset + end
            self._take(identity, data[:end])
        return self.events

    def _take(self, identity, data):
        for line in data.split(b"\n")[:-1]:
            try:
                event = Event(json.loads(line), line)
            except ValueError:
                self.torn.append(line)
                continue
            self.files.setdefault(identity, []).append(event)
            self.events.append(event)

    def mark(self):
        """A place: events that come later are those after it."""
        return len(self.read())

    def since(self, mark=0, **wanted):
        return [event for event in self.read()[mark:] if event.has(wanted)]

    def outcomes(self, mark=0, **wanted):
        """Of mail and of nixied; what tests do in Redis is seen later."""
        return [event for event in self.since(mark, **wanted)
                if event.get("origin", "redis") != "redis"]

    def wait(self, mark=0, count=1, timeout=10, **wanted):
        """The first event that has these members, or all when count > 1."""
        found = wait_until(
            lambda: (self.since(mark, **wanted)
                     if len(self.since(mark, **wanted)) >= count else None),
            lambda: f"{count} event(s) with {wanted}; the last: "
            f"{[dict(event) for event in self.read()[mark:][-5:]]}", timeout)
        return found if count > 1 else found[0]

    def check(self):
        """What holds for every line of every run. Each is checked once."""
        self.read()
        import jsonschema  # packaging/try does without
        validator = schema_validator()
        for event in self.events[self.checked:]:
            problem = jsonschema.exceptions.best_match(
                validator.iter_errors(dict(event)))
            assert problem is None, f"{problem.message}: {event.line}"
            assert len(event.line) < LINE_MAX, f"too long: {event.line}"
            assert all(0x20 <= byte < 0x7f for byte in event.line), event.line
        self.checked = len(self.events)
        self.check_order()

    def check_order(self):
        """seq rises in each file and no instance uses one twice."""
        seen = set()
        for events in self.files.values():
            first = events[0]
            assert first["type"] == "log_open", first.line
            assert len(first.line) > 1024, "log_open is not over 1024 bytes"
            last = -1
            for event in events:
                assert event["seq"] > last, event.line
                last = event["seq"]
                key = (event["instance"], event["seq"])
                assert key not in seen, f"seq came twice: {event.line}"
                seen.add(key)


def schema_validator(cache={}):
    """A real validator, made once."""
    import jsonschema
    if not cache:
        schema = json.loads(SCHEMA.read_text())
        kind = jsonschema.Draft202012Validator
        kind.check_schema(schema)
        cache["validator"] = kind(schema,
                                  format_checker=jsonschema.FormatChecker())
    return cache["validator"]
