"""Remote servers that do to each recipient what a test says, and worse.

All listen on one port, each on an address of its own in 127.0.0.0/8: so a
route of either MTA names a server, also one that is not there.
"""

import socketserver
import threading
import time

from .remote import CAPABILITIES, address_of
from .wait import free_port

CLOSE = object()  # ends the connection
HANG = object()   # says nothing until the client goes

HANG_SECONDS = 20


class ScriptedHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def act(self, reply):
        """False: the connection is over."""
        if reply is CLOSE:
            return False
        if reply is HANG:
            self.connection.settimeout(HANG_SECONDS)
            time.sleep(HANG_SECONDS)
            return False
        self.wfile.write(reply)
        return True

    def handle(self):
        self.sender, self.recipients = b"", []
        script = self.server.of_connection
        if not self.act(script.get("connect", b"220 far.test ESMTP\r\n")):
            return
        while True:
            line = self.rfile.readline(65536)
            if not line or not self.command(line.strip()):
                return

    def command(self, line):
        verb, _, rest = line.partition(b" ")
        verb = verb.upper()
        if verb in (b"EHLO", b"HELO"):
            lines = [b"250-" + name for name in CAPABILITIES[:-1]
                     if name != b"PIPELINING"]
            lines.append(b"250 " + CAPABILITIES[-1])
            return self.act(self.server.of_connection.get(
                "ehlo", b"\r\n".join(lines) + b"\r\n"))
        if verb == b"MAIL":
            self.sender, self.recipients = address_of(rest), []
            return self.act(self.reply("mail", b"250 2.1.0 Ok\r\n"))
        if verb == b"RCPT":
            return self.rcpt(address_of(rest).lower())
        if verb == b"DATA":
            return self.data()
        if verb == b"QUIT":
            self.act(b"221 2.0.0 Bye\r\n")
            return False
        self.recipients = []
        return self.act(b"250 2.0.0 Ok\r\n")

    def reply(self, stage, usual):
        return self.server.world.of_sender.get((self.sender.lower(), stage),
                                               usual)

    def rcpt(self, recipient):
        world = self.server.world
        reply = world.of_recipient.get(recipient, b"250 2.1.5 Ok\r\n")
        with world.lock:
            world.tried.append(recipient.decode())
        if reply is not CLOSE and reply is not HANG and reply[:1] == b"2":
            self.recipients.append(recipient)
        return self.act(reply)

    def data(self):
        if not self.recipients:
            return self.act(b"554 5.5.1 No valid recipients\r\n")
        reply = self.reply("data", b"354 Go ahead\r\n")
        if not self.act(reply):
            return False
        if not reply.startswith(b"354"):
            return True
        while True:
            line = self.rfile.readline(65536)
            if not line:
                return False
            if line == b".\r\n":
                break
        reply = self.reply("eom", b"250 2.0.0 Ok: taken\r\n")
        if reply is not CLOSE and reply is not HANG and reply[:1] == b"2":
            with self.server.world.lock:
                self.server.world.taken += [name.decode()
                                            for name in self.recipients]
        return self.act(reply)


class ScriptedServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, world, address, of_connection):
        super().__init__((address, world.port), ScriptedHandler)
        self.world = world
        self.of_connection = of_connection
        self.thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05},
            daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        """A client that goes away is none of our business."""

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class ScriptedWorld:
    """servers: domain -> what it does before it hears of any recipient.

    of_recipient: reply to RCPT; of_sender: (sender, "mail"|"data"|"eom") ->
    reply. taken, tried: recipients.
    """

    def __init__(self, servers):
        self.port = free_port()
        self.lock = threading.Lock()
        self.of_recipient, self.of_sender = {}, {}
        self.taken, self.tried = [], []
        self.addresses = {}
        self.servers = []
        for number, (domain, script) in enumerate(servers.items(), 2):
            address = f"127.0.0.{number}"
            self.addresses[domain] = address
            if script is not None:  # else nobody listens there
                self.servers.append(ScriptedServer(self, address, script))

    def stop(self):
        for server in self.servers:
            server.stop()
