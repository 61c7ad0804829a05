-- The macros of a Sendmail: a queue id from the start, {rcpt_addr} without
-- a domain for a local mailer.

function sendmail_rcpt(conn, recipient, mailer, host, address)
    mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", mailer, "{rcpt_host}", host,
        "{rcpt_addr}", address)
    must(mt.rcptto(conn, "<" .. recipient .. ">"), "rcpt")
end

conn = open()
mt.macro(conn, SMFIC_CONNECT, "i", "60215wXk003001", "j", "mx.nixie.test",
    "_", "client.test [192.0.2.7]", "{daemon_name}", "MTA",
    "{if_name}", "mx.nixie.test", "{if_addr}", "192.0.2.1")
must(mt.conninfo(conn, "client.test", "192.0.2.7"), "connect")
must(mt.helo(conn, "client.test"), "helo")
mt.macro(conn, SMFIC_MAIL, "i", "60215wXk003001", "{mail_mailer}", "esmtp",
    "{mail_host}", "b.test.", "{mail_addr}", "a@b.test")
must(mt.mailfrom(conn, "<a@b.test>", "SIZE=1234"), "mail")
sendmail_rcpt(conn, name .. "@MX.nixie.test", "local", "", name)
answers(conn, SMFIR_CONTINUE, "local recipient")
sendmail_rcpt(conn, name .. "gone@mx.nixie.test", "local", "", name .. "gone")
answers(conn, SMFIR_REPLYCODE, "suppressed local recipient")
sendmail_rcpt(conn, name .. "gone@example.com", "esmtp", "example.com.",
    name .. "gone@example.com")
answers(conn, SMFIR_REPLYCODE, "suppressed remote recipient")
text(conn, "one@x")
finish(conn, "60215wXk003001")
check(not deleted(conn, name .. "gone@example.com"), "a recipient is deleted")
mt.disconnect(conn)
