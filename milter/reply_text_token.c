#include "reply_text_token.h"

#include <string.h>

#define UNIT_MAX   8  /* letters behind a number */
#define SHORT_MAX  5  /* mixed letters and digits that stay */
#define OPAQUE_MIN 18 /* bytes of a run that is an id as a whole */

/* --- characters -------------------------------------------------------- */

#define B BYTE_BREAK
#define D (BYTE_DIGIT | BYTE_LOCAL)
#define L (BYTE_LETTER | BYTE_LOCAL)
#define S BYTE_LOCAL
#define M (BYTE_DASH | BYTE_LOCAL)
#define P (BYTE_DOT | BYTE_LOCAL)
#define A BYTE_AT
#define H BYTE_HIGH
/* clang-format off */
const unsigned char byte_classes[256] = {
    B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    B, S, B, S, S, S, S, S, B, B, S, S, B, M, P, S, /*  !"#$%&'()*+,-./ */
    D, D, D, D, D, D, D, D, D, D, B, B, B, S, B, S, /* 0123456789:;<=>? */
    A, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    L, L, L, L, L, L, L, L, L, L, L, B, S, B, S, M, /* …[\]^_ */
    S, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    L, L, L, L, L, L, L, L, L, L, L, B, B, B, S, B, /* …{|}~ */
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
    H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
};
/* clang-format on */
#undef B
#undef D
#undef L
#undef S
#undef M
#undef P
#undef A
#undef H

static bool is_a(char byte, unsigned classes)
{
    return (byte_class(byte) & classes) != 0;
}

/* --- output ------------------------------------------------------------ */

/* Bytes as they are; of a long run as many characters as there is room. */
void mask_put_run(struct mask *mask, struct run run)
{
    const char *bytes = mask->in + run.at;
    size_t length = run.end - run.at;
    size_t room = REPLY_TEXT_MAX - mask->out->length;
    bool cut = length > room;

    if (cut) {
        length = room;
        while (length > 0 && ((unsigned char)bytes[length] & 0xc0) == 0x80) {
            length--;
        }
    }
    mask_put(mask, bytes, length);
    mask->out->cut = mask->out->cut || cut;
}

/* --- words, numbers, names of errors, ids ------------------------------ */

struct makeup mask_makeup(const struct mask *mask, struct run run)
{
    struct makeup makeup = {0};
    unsigned last = 0;

    for (size_t i = run.at; i < run.end; i++) {
        unsigned kind = byte_class(mask->in[i]) & (BYTE_LETTER | BYTE_DIGIT);

        if (kind == 0) {
            continue;
        }
        makeup.letters += kind == BYTE_LETTER;
        makeup.digits += kind == BYTE_DIGIT;
        makeup.letters_first |= last == 0 && kind == BYTE_LETTER;
        makeup.changes += last != 0 && kind != last;
        last = kind;
    }
    return makeup;
}

/* Those in use: other numbers of three digits are numbers. */
static bool is_reply_code(const char *digits)
{
    static const char codes[] = "421 450 451 452 454 500 501 502 503 504 510 "
                                "511 521 530 535 541 550 551 552 553 554 555 "
                                "556 571 ";

    for (const char *code = codes; *code != '\0'; code += 4) {
        if (memcmp(code, digits, 3) == 0) {
            return true;
        }
    }
    return false;
}

static void mask_digits(struct mask *mask, struct run run)
{
    const char *digits = mask->in + run.at;

    if (run.end - run.at != 3 || !is_reply_code(digits)) {
        mask_put_word(mask, "<n>");
        return;
    }
    mask_put_run(mask, run);
    if (mask->out->code == 0) {
        mask->out->code =
            (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
    }
}

static void mask_name(struct mask *mask, struct run run)
{
    struct makeup makeup = mask_makeup(mask, run);
    size_t length = run.end - run.at;

    if (makeup.digits == 0 && length <= REPLY_TEXT_WORD_MAX) {
        mask_put_run(mask, run);
    } else if (makeup.letters == 0) {
        mask_digits(mask, run);
    } else if (makeup.changes == 1 && makeup.letters_first &&
               length <= REPLY_TEXT_NAME_MAX) {
        mask_put_run(mask, run);
    } else if (makeup.changes == 1 && !makeup.letters_first &&
               makeup.letters <= UNIT_MAX) {
        mask_put_word(mask, "<n>");
        run.at += mask_span(mask, run.at, run.end, BYTE_DIGIT | BYTE_DASH);
        mask_put_run(mask, run);
    } else if (makeup.changes >= 2 && length <= SHORT_MAX) {
        mask_put_run(mask, run);
    } else {
        mask_put_word(mask, "<id>");
    }
}

/* Letters, digits, - and _. "error-code-12345" is no id, nor is it a name. */
static void mask_token(struct mask *mask, struct run run)
{
    struct makeup makeup = mask_makeup(mask, run);

    if (makeup.letters == 0 || makeup.changes > 1 ||
        run.end - run.at <= REPLY_TEXT_NAME_MAX) {
        mask_name(mask, run);
        return;
    }
    while (run.at < run.end) {
        struct run part = {run.at, run.at};

        part.end += mask_span(mask, run.at, run.end, BYTE_LETTER | BYTE_DIGIT);
        if (part.end > part.at) {
            mask_name(mask, part);
        }
        run.at = part.end;
        part = (struct run){
            run.at, run.at + mask_span(mask, run.at, run.end, BYTE_DASH)};
        mask_put_run(mask, part);
        run.at = part.end;
    }
}

/* --- hosts and numbers with dots --------------------------------------- */

/* Not the whole list: what else has two dots is a host, too. */
static bool is_top_domain(const char *label, size_t length)
{
    static const char known[] =
        " com net org edu gov mil int info biz name pro arpa aero coop museum "
        "mobi asia jobs travel tel cat xyz online site shop club top app dev "
        "cloud email live world local localdomain lan internal corp home test "
        "invalid example onion berlin tokyo ";
    static const char words[] = " if on or of we he up ok "; /* no country */
    char padded[16];

    if (length < 2 || length > sizeof padded - 3) {
        return false;
    }
    padded[0] = ' ';
    memcpy(padded + 1, label, length);
    padded[length + 1] = ' ';
    padded[length + 2] = '\0';
    return length == 2 ? strstr(words, padded) == NULL
                       : strstr(known, padded) != NULL;
}

struct labels {
    size_t count, last; /* where the last begins */
    bool numeric;       /* digits and dots alone */
    bool valid;         /* no empty label */
};

/* Letters, digits, dashes and dots. */
static struct labels labels_of(const struct mask *mask, struct run run)
{
    struct labels labels = {.count = 1, .last = run.at, .valid = true};

    labels.numeric = mask_span(mask, run.at, run.end, BYTE_DIGIT | BYTE_DOT) ==
                     run.end - run.at;
    for (size_t i = run.at; i < run.end; i++) {
        if (mask->in[i] != '.') {
            continue;
        }
        labels.valid = labels.valid && i > labels.last && i + 1 < run.end;
        labels.count++;
        labels.last = i + 1;
    }
    return labels;
}

static bool is_host(const struct mask *mask, struct run run,
                    const struct labels *labels)
{
    const char *last = mask->in + labels->last;
    size_t length = run.end - labels->last;

    if (!labels->valid || labels->count < 2) {
        return false;
    }
    if (length > 4 && memcmp(last, "xn--", 4) == 0) {
        return true;
    }
    return length >= 2 &&
           mask_span(mask, labels->last, run.end, BYTE_LETTER) == length &&
           (labels->count > 2 || is_top_domain(last, length));
}

const char *mask_host_word(const struct mask *mask, struct run run)
{
    struct labels labels = labels_of(mask, run);

    if (mask_span(mask, run.at, run.end, BYTE_HOST) < run.end - run.at) {
        return NULL;
    }
    if (labels.numeric) {
        return labels.count == 4 ? "<ip>" : "<n>";
    }
    return is_host(mask, run, &labels) ? "<host>" : NULL;
}

bool mask_take_status(struct mask *mask, struct run run)
{
    struct text text = {mask->in + run.at, run.end - run.at};
    struct reply_text *out = mask->out;

    if (!enhanced_status_is_valid(text) || text.bytes[2] > '7') {
        return false;
    }
    if (out->enhanced_status[0] == '\0' &&
        (out->code == 0 || out->code / 100 == text.bytes[0] - '0')) {
        (void)text_copy(text, out->enhanced_status,
                        sizeof out->enhanced_status);
    }
    return true;
}

/* Digits and dots alone. */
static void mask_numeric(struct mask *mask, struct run run,
                         const struct labels *labels)
{
    if (labels->count == 4 && labels->valid) {
        mask_put_word(mask, "<ip>");
    } else if (labels->count == 3 && mask_take_status(mask, run)) {
        mask_put_run(mask, run);
    } else if (labels->count == 1) {
        mask_token(mask, run);
    } else {
        mask_put_word(mask, "<n>");
    }
}

/* Letters, digits, dashes and dots: a host, or tokens between dots. */
static void mask_dotted(struct mask *mask, struct run run)
{
    struct labels labels = labels_of(mask, run);

    if (labels.numeric && labels.valid) {
        mask_numeric(mask, run, &labels);
        return;
    }
    if (is_host(mask, run, &labels)) {
        mask_put_word(mask, "<host>");
        return;
    }
    while (run.at < run.end) {
        struct run part = {run.at, run.at};

        part.end += mask_span(mask, run.at, run.end,
                              BYTE_LETTER | BYTE_DIGIT | BYTE_DASH);
        if (part.end > part.at) {
            mask_token(mask, part);
        }
        run.at = part.end;
        part.end = run.at + mask_span(mask, run.at, run.end, BYTE_DOT);
        mask_put_run(mask, (struct run){run.at, part.end});
        run.at = part.end;
    }
}

/* A run as a whole: Base64, the session of a large provider; no "denied...". */
static bool is_opaque(const struct mask *mask, struct run run)
{
    struct makeup makeup;

    if (run.end - run.at < OPAQUE_MIN ||
        memmem(mask->in + run.at, run.end - run.at, "..", 2) != NULL ||
        mask_span(mask, run.at, run.end, ~(unsigned)BYTE_HIGH & 0xff) <
            run.end - run.at) {
        return false;
    }
    makeup = mask_makeup(mask, run);
    return makeup.changes >= 4 && makeup.digits >= 4;
}

/* Anything without "@". */
void mask_plain(struct mask *mask, struct run run)
{
    size_t first = mask_span(mask, run.at, run.end, BYTE_HOST);
    struct run head = {run.at, run.at + first};
    struct labels labels;

    while (head.end > head.at && mask->in[head.end - 1] == '.') {
        head.end--;
    }
    labels = labels_of(mask, head);
    if (!is_host(mask, head, &labels) && is_opaque(mask, run)) {
        mask_put_word(mask, "<id>");
        return;
    }
    while (run.at < run.end) {
        struct run part = {run.at, run.at};

        part.end += mask_span(mask, run.at, run.end, BYTE_HOST);
        while (part.end > part.at && mask->in[part.end - 1] == '.') {
            part.end--; /* the end of a sentence */
        }
        if (part.end > part.at) {
            mask_dotted(mask, part);
        }
        run.at = part.end;
        while (
            part.end < run.end &&
            (mask->in[part.end] == '.' ||
             !is_a(mask->in[part.end], BYTE_LETTER | BYTE_DIGIT | BYTE_DASH))) {
            part.end++;
        }
        mask_put_run(mask, (struct run){run.at, part.end});
        run.at = part.end;
    }
}
