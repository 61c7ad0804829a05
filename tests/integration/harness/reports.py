"""Bounces and complaints as others make them of a message they got."""

BOUNDARY = b"=_report_of_others"


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def head_of(message):
    """The headers, with the line end of the last."""
    return message.partition(b"\r\n\r\n")[0] + b"\r\n"


def fields(*pairs):
    return b"".join(as_bytes(name) + b": " + as_bytes(value) + b"\r\n"
                    for name, value in pairs if value is not None)


def multipart(kind, words, report_type, report, returned, returned_type,
              headers=()):
    """A multipart/report from the null sender's usual author."""
    parts = [(b"text/plain", as_bytes(words) + b"\r\n"),
             (as_bytes(report_type), report)]
    if returned is not None:
        parts.append((as_bytes(returned_type), returned))
    body = b"".join(
        b"--" + BOUNDARY + b"\r\nContent-Type: " + kind_of_part
        + b"\r\n\r\n" + part + b"\r\n" for kind_of_part, part in parts)
    return fields(
        ("From", "MAILER-DAEMON@far.example (Mail Delivery System)"),
        ("To", "known@hosted.test"),
        ("Subject", "Undelivered Mail Returned to Sender"),
        ("Date", "Mon, 02 Nov 2026 12:00:00 +0000"),
        ("Message-ID", "<report@far.example>"),
        ("MIME-Version", "1.0"), *headers,
        ("Content-Type", f"multipart/report; report-type={kind}; "
         f"boundary=\"{BOUNDARY.decode()}\"")) + (
             b"\r\n" + body + b"--" + BOUNDARY + b"--\r\n")


def bounce(recipient, returned=None, part="full", original=None,
           envelope_id=None, status="5.1.1", action="failed",
           diagnostic="smtp; 550 5.1.1 No such user here", more=(),
           words="The mail could not be delivered."):
    """RFC 3464. returned: the message; part: full, headers or none of it."""
    kinds = {"full": "message/rfc822", "headers": "text/rfc822-headers"}
    text = returned
    if part == "headers":
        text = head_of(returned)
    elif part != "full":
        text = None
    blocks = b"".join(
        b"\r\n" + fields(
            ("Original-Recipient", of and f"rfc822; {of}"),
            ("Final-Recipient", to and f"rfc822; {to}"),
            ("Action", action), ("Status", status),
            ("Diagnostic-Code", diagnostic))
        for to, of in [(recipient, original), *more])
    return multipart(
        "delivery-status", words, "message/delivery-status",
        fields(("Reporting-MTA", "dns; mx.far.example"),
               ("Original-Envelope-Id", envelope_id)) + blocks,
        text, kinds.get(part))


def complaint(recipient, returned, kind="abuse"):
    """RFC 5965; recipient None: made unreadable."""
    return multipart(
        "feedback-report", "Somebody complains.", "message/feedback-report",
        fields(("Feedback-Type", kind), ("User-Agent", "Somebody/1.0"),
               ("Version", "1"),
               ("Original-Rcpt-To", recipient or "redacted@redacted")),
        returned, "message/rfc822",
        [("Precedence", "junk")])
