/*
 * web_page_answer.h - how the answers of the web page are made
 *
 * Threads  a question belongs to one.
 */
#ifndef NIXIE_WEB_PAGE_ANSWER_H
#define NIXIE_WEB_PAGE_ANSWER_H

#include "error.h"
#include "settings.h"
#include "web_page.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct web_question {
    const struct web_page_options *page;
    const struct settings *settings;
    const struct web_request *request;
    int64_t now_us;
    int64_t deadline_ms;
    unsigned status;    /* of a fault */
    struct error error; /* a sentence for the viewer */
};

/* The value of an argument; "" if it is not there. */
const char *web_argument(const struct web_question *question, const char *name);

/* NULL: status and error tell; status is 503 unless it is set. */
json_t *web_refuse(struct web_question *question, const char *why); /* 400 */

json_t *web_answer_status(struct web_question *question);
json_t *web_answer_stats(struct web_question *question);
json_t *web_answer_domains(struct web_question *question);
json_t *web_answer_recent(struct web_question *question);
json_t *web_answer_list(struct web_question *question);
json_t *web_answer_recipient(struct web_question *question);

/* "24h": its place in a table of four; false when it is none. */
#define WEB_RANGES 4
bool web_range(const char *name, size_t *range);

/* ---- what is kept for some seconds ---- */

struct web_cache;

struct web_cached {
    unsigned status;
    char *body; /* malloc()ed */
    size_t length;
};

/* New, or NULL. */
struct web_cache *web_cache_new(size_t slots);
void web_cache_free(struct web_cache *cache); /* or NULL */

/*
 * True with a copy of what is kept: it is fresh, or another thread is making
 * a newer one. False: make it, and give it to web_cache_put() in any case.
 */
bool web_cache_take(struct web_cache *cache, size_t slot,
                    struct web_cached *copy);
/* Copies it; it is fresh for fresh_ms. */
void web_cache_put(struct web_cache *cache, size_t slot,
                   const struct web_cached *made, int64_t fresh_ms);

#endif
