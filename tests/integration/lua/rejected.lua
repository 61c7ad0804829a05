-- Recipients that the MTA refused itself: recorded, always "continue".

function rejected(conn, recipient, ...)
    mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", "error", ...)
    must(mt.rcptto(conn, "<" .. recipient .. ">"), "rcpt")
    answers(conn, SMFIR_CONTINUE, recipient)
end

conn = smtp_session()
smtp_mail(conn, "a@b.test")
-- Postfix: status, and the text behind the address
rejected(conn, name .. "relay@example.com", "{rcpt_host}", "5.7.1",
    "{rcpt_addr}", "Relay access denied")
rejected(conn, name .. "later@example.com", "{rcpt_host}", "4.2.0",
    "{rcpt_addr}", "Recipient address rejected: Mailbox busy")
-- only one word was left of the text: no macro
rejected(conn, name .. "silent@example.com", "{rcpt_host}", "5.1.1")
-- Sendmail: the reply with code and status
rejected(conn, name .. "unknown@example.com", "{rcpt_host}", "5.1.1",
    "{rcpt_addr}", "550 5.1.1 User unknown")
-- Sendmail: quoted text, no usable status
rejected(conn, name .. "quoted@example.com", "{rcpt_host}", "",
    "{rcpt_addr}", "550 5.7.1 no mail for you")
-- suppressed, too: still only recorded
rejected(conn, name .. "gone@example.com", "{rcpt_host}", "5.1.1",
    "{rcpt_addr}", "User unknown in local recipient table")
-- a transport that is really named "error": an accepted recipient
mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", "error", "{rcpt_host}",
    "mail for this host is not possible", "{rcpt_addr}",
    name .. "transport@example.com")
must(mt.rcptto(conn, "<" .. name .. "transport@example.com>"), "rcpt")
answers(conn, SMFIR_CONTINUE, "transport")
text(conn, "one@x")
finish(conn, "4REJ1")
mt.disconnect(conn)
