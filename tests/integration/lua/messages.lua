-- Several messages in a connection, with a refused recipient in each.

conn = smtp_session()
check(mt.test_option(conn, 0x800), "SMFIP_RCPT_REJ is not asked for")
check(mt.test_action(conn, SMFIF_DELRCPT), "SMFIF_DELRCPT is not asked for")

for number = 1, 3 do
    smtp_mail(conn, "s" .. number .. "@b.test")
    smtp_rcpt(conn, name .. "n" .. number .. "@example.com")
    answers(conn, SMFIR_CONTINUE, "good recipient")
    smtp_rcpt(conn, name .. "gone@example.com", "4Q" .. number)
    answers(conn, SMFIR_REPLYCODE, "suppressed recipient")
    text(conn, "m" .. number .. "@x")
    finish(conn, "4Q" .. number)
    check(not deleted(conn, name .. "gone@example.com"),
        "a recipient is deleted in an SMTP session")
    mt.abort(conn) -- as Postfix does after each message
end
mt.disconnect(conn)
