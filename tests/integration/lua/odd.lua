-- What no MTA should do, and some do.

-- macros that disagree: no {rcpt_mailer}, so nothing is refused at RCPT
conn = smtp_session()
smtp_mail(conn, "a@b.test")
must(mt.rcptto(conn, "<" .. name .. "gone@example.com>"), "rcpt")
answers(conn, SMFIR_CONTINUE, "suppressed, without macros")
must(mt.rcptto(conn, "<" .. name .. "other@example.com>"), "rcpt")
text(conn, "one@x")
finish(conn, "4ODD1")
mt.disconnect(conn)

-- no macros at all
conn = open()
must(mt.conninfo(conn, "client.test", "unspec"), "connect")
must(mt.helo(conn, "x"), "helo")
must(mt.mailfrom(conn, "<>"), "mail")
must(mt.rcptto(conn, "<" .. name .. "plain@example.com>"), "rcpt")
answers(conn, SMFIR_CONTINUE, "plain")
text(conn, "two@x")
must(mt.eom(conn), "eom")
mt.disconnect(conn)

-- unknown family, IPv6, a second HELO, empty and odd recipients
conn = open()
must(mt.conninfo(conn, "client.test", "2001:db8::1"), "connect")
must(mt.helo(conn, "one.test"), "helo")
must(mt.helo(conn, "two.test"), "helo")
smtp_mail(conn, "b@b.test")
for _, recipient in ipairs({"<>", "", "<", ">", "<@>", "@", "<postmaster>",
                            "<<<<>>>>", "<\"", "<(", "<a@>", "<@b>"}) do
    mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", "smtp", "{rcpt_host}", "x",
        "{rcpt_addr}", "")
    must(mt.rcptto(conn, recipient), "rcpt " .. recipient)
    answers(conn, SMFIR_CONTINUE, "odd recipient " .. recipient)
end
smtp_rcpt(conn, name .. "v6@example.com", "4ODD3")
text(conn, "three@x")
finish(conn, "4ODD3")
mt.disconnect(conn)
