-- An abort at each stage leaves nothing behind; the next message is whole.

conn = smtp_session()
mt.abort(conn)

smtp_mail(conn, "one@b.test")
mt.abort(conn)

smtp_mail(conn, "two@b.test")
smtp_rcpt(conn, name .. "aborted@example.com")
answers(conn, SMFIR_CONTINUE, "rcpt")
mt.abort(conn)

smtp_mail(conn, "three@b.test")
smtp_rcpt(conn, name .. "aborted@example.com")
data(conn)
mt.abort(conn)

smtp_mail(conn, "four@b.test")
smtp_rcpt(conn, name .. "aborted@example.com")
data(conn)
must(mt.header(conn, "Message-ID", "<lost@x>"), "header")
mt.abort(conn)

smtp_mail(conn, "five@b.test")
smtp_rcpt(conn, name .. "aborted@example.com")
text(conn, "lost@x")
mt.abort(conn)
mt.abort(conn)

smtp_mail(conn, "six@b.test")
smtp_rcpt(conn, name .. "good@example.com")
text(conn, "kept@x")
finish(conn, "4KEPT")
mt.abort(conn)
mt.disconnect(conn, true)

-- gone without a word, at three places
conn = open()
mt.disconnect(conn, false)

conn = smtp_session()
smtp_mail(conn, "seven@b.test")
smtp_rcpt(conn, name .. "aborted@example.com")
mt.disconnect(conn, false)

conn = smtp_session()
smtp_mail(conn, "eight@b.test")
smtp_rcpt(conn, name .. "aborted@example.com")
text(conn, "lost@x")
mt.disconnect(conn, false)
