-- Read before each script: shorter names, and what Postfix and Sendmail send.
-- socket and name come from the test: where nixied listens, and a word that
-- makes the addresses of this run its own.

NODATA, NOEOH = 0x200, 0x40 -- SMFIP_*

function check(condition, text)
    if not condition then
        mt.echo(text) -- miltertest does not print errors
        error(text, 2)
    end
end

function must(result, text)
    check(result == nil, text .. ": " .. tostring(result))
end

function answers(conn, wanted, text)
    local reply = mt.getreply(conn)
    check(reply == wanted, text .. ": reply " ..
        (reply and string.char(reply) or "nil") .. ", not " ..
        string.char(wanted))
end

function open()
    local conn = mt.connect("unix:" .. socket)
    check(conn ~= nil, "cannot connect to " .. socket)
    return conn
end

-- Postfix smtpd(8): no queue id before the first accepted recipient.
function smtp_session()
    local conn = open()
    mt.macro(conn, SMFIC_CONNECT, "j", "mx.nixie.test",
        "{daemon_name}", "mx.nixie.test", "v", "Postfix 3.7.11",
        "{client_addr}", "192.0.2.7", "{client_name}", "client.test")
    must(mt.conninfo(conn, "client.test", "192.0.2.7"), "connect")
    must(mt.helo(conn, "client.test"), "helo")
    return conn
end

function smtp_mail(conn, sender)
    mt.macro(conn, SMFIC_MAIL, "{mail_mailer}", "local", "{mail_host}", "",
        "{mail_addr}", sender)
    must(mt.mailfrom(conn, "<" .. sender .. ">"), "mail")
end

function smtp_rcpt(conn, recipient, queue_id)
    if queue_id then
        mt.macro(conn, SMFIC_RCPT, "i", queue_id, "{rcpt_mailer}", "smtp",
            "{rcpt_host}", "example.com", "{rcpt_addr}", recipient)
    else
        mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", "smtp",
            "{rcpt_host}", "example.com", "{rcpt_addr}", recipient)
    end
    must(mt.rcptto(conn, "<" .. recipient .. ">"), "rcpt")
end

-- What cleanup(8) plays for sendmail(1) and bounces.
function emulated_session(queue_id)
    local conn = open()
    mt.macro(conn, SMFIC_CONNECT, "i", queue_id, "j", "mx.nixie.test",
        "{daemon_name}", "mx.nixie.test", "v", "Postfix 3.7.11",
        "{client_addr}", "127.0.0.1", "{client_name}", "localhost")
    must(mt.conninfo(conn, "localhost", "127.0.0.1"), "connect")
    mt.macro(conn, SMFIC_HELO, "i", queue_id)
    must(mt.helo(conn, "localhost"), "helo")
    return conn
end

function emulated_mail(conn, sender, queue_id)
    mt.macro(conn, SMFIC_MAIL, "i", queue_id, "{mail_addr}", sender)
    must(mt.mailfrom(conn, sender), "mail")
end

function emulated_rcpt(conn, recipient, queue_id)
    mt.macro(conn, SMFIC_RCPT, "i", queue_id, "{rcpt_addr}", recipient)
    must(mt.rcptto(conn, recipient), "rcpt")
end

-- Whether the recipient was deleted at the end of the message.
function deleted(conn, recipient)
    return mt.eom_check(conn, MT_RCPTDELETE, recipient) or
        mt.eom_check(conn, MT_RCPTDELETE, "<" .. recipient .. ">")
end

function data(conn)
    if not mt.test_option(conn, NODATA) then
        must(mt.data(conn), "data")
    end
end

-- Headers and body up to, not including, the end of the message.
function text(conn, message_id)
    data(conn)
    must(mt.header(conn, "Message-ID", "<" .. message_id .. ">"), "header")
    must(mt.header(conn, "Subject", "try"), "header")
    if not mt.test_option(conn, NOEOH) then
        must(mt.eoh(conn), "eoh")
    end
    must(mt.bodystring(conn, "Hello\r\n"), "body")
end

function finish(conn, queue_id)
    mt.macro(conn, 69, "i", queue_id) -- 'E', SMFIC_BODYEOB
    must(mt.eom(conn), "eom")
end
