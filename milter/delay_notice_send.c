#include "delay_notice_send.h"

#include "clock.h"
#include "text.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define URL_SIZE   1300 /* a relay of 263, a node of 255 escaped */
#define REPLY_SIZE 512  /* RFC 5321 4.5.3.1.5 */
#define SHOWN_SIZE 300
#define ANSWER_MS  3000

/* What the callbacks of one transfer share. */
struct transfer {
    const struct delay_notice_mail *mail;
    size_t sent;
    bool whole;       /* libcurl has taken all of the message */
    int64_t whole_ms; /* when */
    bool greeted;     /* EHLO or HELO is answered */
    bool utf8_offered;
    bool utf8_missing; /* and so it was given up */
    bool answered;     /* what follows is of RSET or QUIT */
    int code; /* of the last reply, the first that refuses, or the answer */
    char reply[REPLY_SIZE];
};

/* --- callbacks --------------------------------------------------------- */

static size_t give(char *buffer, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t length = transfer->mail->length - transfer->sent;

    if (length > size * count) {
        length = size * count;
    }
    if (length > 0) {
        memcpy(buffer, transfer->mail->bytes + transfer->sent, length);
    }
    transfer->sent += length;
    /* knowing the size, libcurl need not ask for what is behind the end */
    if (transfer->sent == transfer->mail->length && !transfer->whole) {
        transfer->whole = true;
        transfer->whole_ms = clock_monotonic_ms();
        transfer->code = 0; /* that was of DATA */
        transfer->reply[0] = '\0';
    }
    return length;
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* The code of a line of a reply; 0: it is none. */
static int read_code(struct text line)
{
    if (line.length < 3 || !is_digit(line.bytes[0]) ||
        !is_digit(line.bytes[1]) || !is_digit(line.bytes[2])) {
        return 0;
    }
    return (line.bytes[0] - '0') * 100 + (line.bytes[1] - '0') * 10 +
           (line.bytes[2] - '0');
}

/* False: it lacks an extension that we need, so nothing more is said. */
static bool hear_extension(struct transfer *transfer, struct text line,
                           bool last)
{
    if (line.length > 4 && strcasecmp(transfer->reply + 4, "SMTPUTF8") == 0) {
        transfer->utf8_offered = true;
    }
    transfer->greeted = last;
    transfer->utf8_missing =
        last && transfer->mail->needs_utf8 && !transfer->utf8_offered;
    return !transfer->utf8_missing;
}

/*
 * A line of a reply. The first 250 is of EHLO or HELO, as the greeting is a
 * 220. A refused EHLO is followed by HELO; any other refusal is the answer.
 */
static size_t hear(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct text line = {bytes, size * count};
    int code;
    bool last;

    while (line.length > 0 &&
           (bytes[line.length - 1] == '\n' || bytes[line.length - 1] == '\r')) {
        line.length--;
    }
    code = read_code(line);
    if (code == 0 || code == 221 || transfer->answered) {
        return size * count;
    }
    last = line.length == 3 || bytes[3] == ' ';
    transfer->code = code;
    (void)text_copy(line, transfer->reply, sizeof transfer->reply);
    if (!transfer->greeted) {
        return code != 250 || hear_extension(transfer, line, last)
                   ? size * count
                   : 0;
    }
    transfer->answered = last && (code >= 400 || transfer->whole);
    return size * count;
}

/*
 * Not zero: break it off. An answer to the whole message is worth some more
 * waiting, as without one nobody knows what came of it.
 */
static int look(void *context, curl_off_t down_all, curl_off_t down,
                curl_off_t up_all, curl_off_t up)
{
    const struct transfer *transfer = context;

    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    return transfer->mail->stopping != NULL &&
           atomic_load(transfer->mail->stopping) &&
           (!transfer->whole ||
            clock_monotonic_ms() - transfer->whole_ms > ANSWER_MS);
}

/* --- libcurl ----------------------------------------------------------- */

static void begin_once(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* "smtp://HOST:PORT/NODE": libcurl greets with what stands for the path. */
static bool make_url(CURL *curl, const struct delay_notice_mail *mail,
                     char url[URL_SIZE])
{
    char *node = curl_easy_escape(curl, mail->node, 0);
    int length = -1;

    if (node != NULL) {
        length = snprintf(url, URL_SIZE, "smtp://%s/%s", mail->relay, node);
        curl_free(node);
    }
    return length > 0 && length < URL_SIZE;
}

/*
 * A proxy of the environment is not for us, nor signals; and no connection is
 * kept: the MTA would end it before the next notice.
 */
static bool prepare(CURL *curl, struct transfer *transfer, const char *url,
                    struct curl_slist *recipients)
{
    const struct delay_notice_mail *mail = transfer->mail;
    long patience_ms = (long)mail->patience_ms;

    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, patience_ms) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, patience_ms) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT,
                            patience_ms / 1000 + 1) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAIL_FROM, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE,
                            (curl_off_t)mail->length) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_READFUNCTION, give) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_READDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, hear) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

/* --- what came of it --------------------------------------------------- */

static enum delay_notice_result judge(const struct transfer *transfer)
{
    if (transfer->utf8_missing) {
        return DELAY_NOTICE_REFUSED;
    }
    if (!transfer->greeted) {
        return DELAY_NOTICE_UNREACHABLE; /* it refuses us, not the notice */
    }
    if (transfer->answered) {
        return transfer->code >= 500   ? DELAY_NOTICE_REFUSED
               : transfer->code >= 400 ? DELAY_NOTICE_LATER
                                       : DELAY_NOTICE_SENT;
    }
    return transfer->whole ? DELAY_NOTICE_UNSURE : DELAY_NOTICE_UNREACHABLE;
}

static void tell(const struct transfer *transfer, CURLcode done,
                 struct error *error)
{
    char shown[SHOWN_SIZE];

    if (transfer->utf8_missing) {
        error_set(error, "%s: the address needs SMTPUTF8, which is not offered",
                  transfer->mail->relay);
    } else if (transfer->code >= 400) {
        error_set(error, "%s: %s", transfer->mail->relay,
                  text_escape(text_of(transfer->reply), shown, sizeof shown));
    } else {
        error_set(error, "%s: %s%s", transfer->mail->relay,
                  transfer->whole ? "no answer to the whole message: " : "",
                  curl_easy_strerror(done));
    }
}

enum delay_notice_result delay_notice_send(const struct delay_notice_mail *mail,
                                           struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    enum delay_notice_result result = DELAY_NOTICE_UNREACHABLE;
    struct transfer transfer = {.mail = mail};
    struct curl_slist *recipients = NULL;
    CURLcode done = CURLE_OUT_OF_MEMORY;
    char url[URL_SIZE];
    CURL *curl;

    (void)pthread_once(&once, begin_once);
    curl = curl_easy_init();
    recipients = curl_slist_append(NULL, mail->recipient);
    if (curl != NULL && recipients != NULL && make_url(curl, mail, url) &&
        prepare(curl, &transfer, url, recipients)) {
        done = curl_easy_perform(curl);
        result = judge(&transfer);
    }
    if (result != DELAY_NOTICE_SENT) {
        tell(&transfer, done, error);
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(recipients);
    return result;
}
