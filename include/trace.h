/*
 * trace.h - marks on outgoing mail, and what a report is worth that has them
 *
 * A message gets a header and an envelope id which only the keys can make. A
 * report that brings one back speaks of mail that went out here, and of a
 * recipient that the mail went to. Nothing is kept meanwhile.
 *
 *   one recipient      header: H, seal, the recipient hidden
 *   2 to 50            header: H, seal, sorted tags; random ones make them
 *                      4, 8, 16, 32 or 50, so that Bcc is neither named nor
 *                      counted; only that there are others is seen
 *   more               header: H, seal
 *   all                envelope id: H, seal
 *
 * The scope that a message was sent in stands in H (trace_seal.h), so a report
 * of any kind tells it, and no forger can. A mark of before there were scopes,
 * and of mail in none, has none.
 *
 * Recipients are normal forms (mailbox.h).
 *
 * Owner    arguments are borrowed; what comes out has no pointers.
 * Errors   are the result; nothing is logged here.
 * Threads  any; a draft, one user at a time.
 */
#ifndef NIXIE_TRACE_H
#define NIXIE_TRACE_H

#include "mailbox.h"
#include "text.h"
#include "trace_form.h"
#include "trace_keys.h"
#include "trace_seal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_TAGS_MAX 50 /* recipients that have a tag each */

/* Whether this is the name of our header, in whatever case. */
bool trace_is_header(struct text name);

/* --- marking ------------------------------------------------------------- */

/* Of one message. It holds a key: trace_draft_end() must wipe it. */
struct trace_draft {
    struct trace_key key;
    struct trace_head head;
    char first[MAILBOX_MAX + 1]; /* the first recipient */
    size_t first_length;
    unsigned char tags[TRACE_TAGS_MAX * TRACE_TAG_SIZE]; /* sorted */
    size_t tag_count; /* 0 while there is one recipient */
    size_t unnamed;   /* recipients that have no normal form */
    bool overflows;   /* there are more than TRACE_TAGS_MAX */
};

#define TRACE_NONCE_TEXT_SIZE (2 * TRACE_NONCE_SIZE + 1)

struct trace_mark {
    char header[TRACE_HEADER_SIZE]; /* its value: lines end in \n */
    char envelope_id[TRACE_ENVELOPE_ID_SIZE];
    char nonce[TRACE_NONCE_TEXT_SIZE]; /* hexadecimal: which message */
};

/* False: no key signs, or keys is NULL. Then there is no draft to end. */
bool trace_draft_begin(struct trace_draft *draft, struct trace_keys *keys,
                       int64_t now_us);

/* The scope, by its trace_scope_code(); 0: none. Before any recipient. */
void trace_draft_set_scope(struct trace_draft *draft, uint32_t code);

/*
 * Each recipient that the message goes to; one that comes twice counts once.
 * One that is empty or longer than MAILBOX_MAX counts, but no report can be
 * shown to be about it.
 */
void trace_draft_add(struct trace_draft *draft, struct text recipient);

/* There are others, nobody knows how many: as of more than 50. */
void trace_draft_add_unknown(struct trace_draft *draft);

/* False: there is no recipient, or there are no random numbers. */
bool trace_draft_end(struct trace_draft *draft, struct trace_mark *mark);

/* As in trace_mark. */
void trace_nonce_write(const struct trace_head *head,
                       char text[TRACE_NONCE_TEXT_SIZE]);

/* --- checking ------------------------------------------------------------ */

#define TRACE_HEADERS_TRIED    4 /* a message has one; others are forged */
#define TRACE_RECIPIENTS_TRIED 4

#define TRACE_BELIEF_DAYS 14 /* an older mark proves nothing */
#define TRACE_AHEAD_DAYS  1  /* another host's clock, or its time zone */

enum trace_class {
    TRACE_NONE,       /* not our mark, or not about this recipient */
    TRACE_CORRELATED, /* our message; whether the recipient's is not proved */
    TRACE_SHARED,     /* one of several, or another than the report names */
    TRACE_VALID,      /* our message, for that recipient */
};

/* "none", "correlated", "shared", "valid". */
const char *trace_class_name(enum trace_class class);

struct trace_evidence {
    const struct text *headers; /* values of TRACE_HEADER as returned */
    size_t header_count;        /* the first TRACE_HEADERS_TRIED are tried */
    struct text envelope_id;    /* Original-Envelope-Id, decoded; or unknown */
    /* Original-Recipient, then Final-Recipient, as far as they are known; the
     * first TRACE_RECIPIENTS_TRIED are tried */
    const struct text *recipients;
    size_t recipient_count;
};

#define TRACE_REPLAY_KEY_SIZE 30 /* 12 and 16 hex digits, "-" and NUL */

struct trace_result {
    enum trace_class class;
    /* to which the mark is shown to belong; "" if to none */
    char recipient[MAILBOX_MAX + 1];
    size_t recipient_length;
    bool recovered; /* it was read from the mark, no report named it */
    int64_t day;    /* of the mark, since 1970 */
    uint32_t scope; /* its trace_scope_code(); 0: none */
    /*
     * The same for every report about this message and recipient, whichever
     * part proves it; of an unproved recipient, the first that was named. It
     * begins with the message's nonce.
     */
    char replay_key[TRACE_REPLAY_KEY_SIZE];
};

/*
 * The best that one part proves:
 *
 *   VALID       header or envelope id of a message with one recipient, the
 *               one that is named
 *   SHARED      its tag among others: each of them has the header, and who
 *               runs an MTA the envelope id; or the header of a message with
 *               one recipient, and another or none is named
 *   CORRELATED  the envelope id of a message with several, but no tag; or a
 *               header without tags; or with tags, and no recipient is named
 *   NONE        else. Also a tag of none that is named, a key that is unknown
 *               or too old, a day that is too old or ahead. All of result is
 *               zero then.
 */
enum trace_class trace_check(struct trace_keys *keys,
                             const struct trace_evidence *evidence,
                             int64_t now_us, struct trace_result *result);

#endif
