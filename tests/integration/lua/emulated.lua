-- Sessions that cleanup(8) plays: RCPT is never refused.

-- one of two is suppressed: it is deleted
conn = emulated_session("4EMU1")
emulated_mail(conn, "a@b.test", "4EMU1")
emulated_rcpt(conn, name .. "gone@example.com", "4EMU1")
answers(conn, SMFIR_CONTINUE, "suppressed recipient")
emulated_rcpt(conn, name .. "good@example.com", "4EMU1")
answers(conn, SMFIR_CONTINUE, "good recipient")
text(conn, "one@x")
finish(conn, "4EMU1")
check(deleted(conn, name .. "gone@example.com"),
    "the suppressed recipient is not deleted")
check(not deleted(conn, name .. "good@example.com"),
    "the good recipient is deleted")
answers(conn, SMFIR_CONTINUE, "the message is refused")
mt.disconnect(conn)

-- nobody is left: the message is refused
conn = emulated_session("4EMU2")
emulated_mail(conn, "a@b.test", "4EMU2")
emulated_rcpt(conn, name .. "gone@example.com", "4EMU2")
answers(conn, SMFIR_CONTINUE, "suppressed recipient")
text(conn, "two@x")
finish(conn, "4EMU2")
answers(conn, SMFIR_REPLYCODE, "the message with nobody left")
mt.disconnect(conn)

-- nobody would be left, but it is a bounce
conn = emulated_session("4EMU3")
emulated_mail(conn, "", "4EMU3")
emulated_rcpt(conn, name .. "gone@example.com", "4EMU3")
answers(conn, SMFIR_CONTINUE, "suppressed recipient")
text(conn, "three@x")
finish(conn, "4EMU3")
answers(conn, SMFIR_CONTINUE, "a bounce is refused")
check(not deleted(conn, name .. "gone@example.com"),
    "a bounce loses its recipient")
mt.disconnect(conn)
