"""The client's side of an SMTP dialogue, byte for byte."""

import socket
import time


class Reply:
    """A reply: code, enhanced status and text of its lines, duration."""

    def __init__(self, lines, seconds):
        self.lines = lines
        self.seconds = seconds
        self.code = int(lines[-1][:3])
        words = lines[-1][4:].split(b" ", 1)
        parts = words[0].split(b".")
        self.enhanced_status = ""
        self.text = lines[-1][4:].decode("utf-8", "replace")
        if len(parts) == 3 and all(part.isdigit() for part in parts):
            self.enhanced_status = words[0].decode()
            self.text = words[-1].decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.code} {self.enhanced_status} {self.text}>"

    def __str__(self):
        return b"\n".join(self.lines).decode("utf-8", "replace")


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


class Dialogue:
    """One connection. transcript, a list, takes ("C"|"S", bytes) lines."""

    def __init__(self, address, helo="client.nixie.test", ehlo=True,
                 timeout=30, transcript=None, source=None):
        self.transcript = transcript if transcript is not None else []
        self.socket = socket.create_connection(
            address, timeout=timeout, source_address=source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.hello = None
        if helo is not None:
            self.hello = self.command(
                (b"EHLO " if ehlo else b"HELO ") + as_bytes(helo))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        """Bytes as they are."""
        self.socket.sendall(data)

    def reply(self, since=None):
        since = time.monotonic() if since is None else since
        lines = []
        while True:
            line = self.stream.readline(65536)
            if not line.endswith(b"\n"):
                raise ConnectionError(f"no whole reply: {lines + [line]}")
            line = line.rstrip(b"\r\n")
            self.transcript.append(("S", line))
            lines.append(line)
            if line[3:4] != b"-":
                return Reply(lines, time.monotonic() - since)

    def command(self, line):
        """Sends a line, CRLF is added, and waits for its reply."""
        line = as_bytes(line)
        self.transcript.append(("C", line))
        start = time.monotonic()
        self.send(line + b"\r\n")
        return self.reply(start)

    def pipeline(self, lines):
        """Sends all lines in one go, then takes as many replies."""
        lines = [as_bytes(line) for line in lines]
        self.transcript += [("C", line) for line in lines]
        start = time.monotonic()
        self.send(b"".join(line + b"\r\n" for line in lines))
        return [self.reply(start) for _ in lines]

    def mail(self, sender="sender@nixie.test", parameters=""):
        return self.command(b"MAIL FROM:<" + as_bytes(sender) + b">" +
                            as_bytes(" " + parameters if parameters else ""))

    def rcpt(self, recipient, parameters=""):
        return self.command(b"RCPT TO:<" + as_bytes(recipient) + b">" +
                            as_bytes(" " + parameters if parameters else ""))

    def data(self, text=b"Subject: try\r\n\r\nHello\r\n"):
        """DATA and the text; the reply to its end, or to DATA if refused."""
        first = self.command("DATA")
        if first.code != 354:
            return first
        text = as_bytes(text)
        if not text.endswith(b"\r\n"):
            text += b"\r\n"
        text = text.replace(b"\r\n.", b"\r\n..")
        if text.startswith(b"."):
            text = b"." + text
        self.transcript.append(("C", b"(the message, then a single dot)"))
        start = time.monotonic()
        self.send(text + b".\r\n")
        return self.reply(start)

    def message(self, sender, recipients,
                text=b"Subject: try\r\n\r\nHello\r\n", parameters=""):
        """A whole transaction: {recipient: reply}, reply to the message.

        Without an accepted recipient it ends with RSET and None.
        """
        self.mail(sender, parameters)
        replies = {recipient: self.rcpt(recipient)
                   for recipient in recipients}
        if all(reply.code >= 400 for reply in replies.values()):
            self.command("RSET")
            return replies, None
        return replies, self.data(text)

    def quit(self):
        reply = self.command("QUIT")
        self.close()
        return reply

    def close(self):
        self.stream.close()
        self.socket.close()
