"""A remote mail server that does what the recipient's local part says."""

import socketserver
import threading

from .wait import wait_until

# Beginning of the local part -> reply to RCPT.
RCPT_REPLIES = (
    (b"reject", b"550 5.1.1 <%s>: No such user here"),
    (b"defer", b"450 4.2.1 <%s>: Greylisted, try again later"),
    (b"full", b"452 4.2.2 <%s>: Over quota"),
)
CAPABILITIES = (b"remote.nixie.test", b"PIPELINING", b"8BITMIME", b"DSN",
                b"SMTPUTF8", b"ENHANCEDSTATUSCODES")


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def answer(self, line):
        self.wfile.write(line + b"\r\n")

    def handle(self):
        self.answer(b"220 remote.nixie.test ESMTP")
        self.reset()
        while True:
            line = self.rfile.readline(65536)
            if not line:
                return
            verb, _, rest = line.strip().partition(b" ")
            if verb.upper() == b"QUIT":
                self.answer(b"221 2.0.0 Bye")
                return
            self.command(verb.upper(), rest)

    def reset(self):
        self.sender = b""
        self.argument = b""
        self.recipients = []

    def command(self, verb, rest):
        if verb in (b"EHLO", b"HELO"):
            for name in CAPABILITIES[:-1] if verb == b"EHLO" else ():
                self.answer(b"250-" + name)
            self.answer(b"250 " + CAPABILITIES[-1])
        elif verb == b"MAIL":
            self.reset()
            self.sender = address_of(rest)
            self.argument = rest
            self.answer(b"250 2.1.0 Ok")
        elif verb == b"RCPT":
            self.rcpt(address_of(rest))
        elif verb == b"DATA":
            self.take_text()
        else:
            self.reset()
            self.answer(b"250 2.0.0 Ok")

    def rcpt(self, recipient):
        reply = self.server.answers.get(recipient.lower())
        if reply is not None:
            self.server.take_refusal(recipient, reply[:3])
            self.wfile.write(reply)
            return
        for beginning, reply in RCPT_REPLIES:
            if recipient.lower().startswith(beginning):
                self.server.take_refusal(recipient, reply[:3])
                self.answer(reply % recipient)
                return
        self.recipients.append(recipient)
        self.answer(b"250 2.1.5 Ok")

    def take_text(self):
        if not self.recipients:
            self.answer(b"554 5.5.1 No valid recipients")
            return
        self.answer(b"354 Go ahead")
        lines = []
        while True:
            line = self.rfile.readline(65536)
            if not line or line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        self.server.take_message(self.sender, self.recipients,
                                 b"".join(lines), self.argument)
        self.answer(b"250 2.0.0 Ok: taken")
        self.reset()


def address_of(argument):
    """b"TO:<a@b> NOTIFY=..." -> b"a@b"."""
    return argument.partition(b"<")[2].rpartition(b">")[0]


class RemoteServer(socketserver.ThreadingTCPServer):
    """messages: (sender, [recipients], text) of what it took.

    arguments: what each of them had behind MAIL.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        self.lock = threading.Lock()
        self.messages = []
        self.arguments = []
        self.refused = []
        self.answers = {}  # recipient -> whole reply to RCPT, with line ends
        self.thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05},
            daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()

    def handle_error(self, request, client_address):
        """A client that goes away is none of our business."""

    def take_message(self, sender, recipients, text, argument):
        with self.lock:
            self.messages.append((sender, list(recipients), text))
            self.arguments.append(argument)

    def take_refusal(self, recipient, code):
        with self.lock:
            self.refused.append((recipient, code))

    def forget(self):
        with self.lock:
            self.messages.clear()
            self.arguments.clear()
            self.answers.clear()
            self.refused.clear()

    def recipients(self):
        """All recipients of all messages taken, as text."""
        with self.lock:
            return [recipient.decode("utf-8", "surrogateescape")
                    for _, recipients, _ in self.messages
                    for recipient in recipients]

    def wait_for(self, recipient, timeout=15):
        wait_until(lambda: recipient in self.recipients(),
                   f"the remote server gets mail for {recipient}", timeout)
