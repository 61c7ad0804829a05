#include "command_forget.h"
#include "scope.h"

#include <string.h>

/* ---- history ---- */

static bool add_key(struct forget *forget, const char *verb,
                    enum store_history kind, struct text whose,
                    struct text name, struct text field)
{
    struct store_key key;
    struct text words[5] = {text_of(verb)};
    size_t count = 2;

    if (!store_key_history(forget->call->settings->key_prefix,
                           store_bucket(whose.bytes, whose.length), kind, name,
                           &key)) {
        error_set(&forget->error, "the key would be too long");
        return false;
    }
    words[1] = (struct text){key.text, key.length};
    if (kind == STORE_WAITING) {
        words[count++] = text_of("0");
        words[count++] = text_of("-1");
    } else if (field.bytes != NULL) {
        words[count++] = field;
    }
    return command_store_add(forget->store, count, words, &forget->error);
}

/* The queue ids of members "queue_id address". */
static void take_waiting(struct forget *forget, const redisReply *reply)
{
    struct text address = {forget->mailbox.address,
                           forget->mailbox.address_length};

    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements;
         i++) {
        struct text member = command_store_text(reply->element[i]);
        const char *blank = member.bytes == NULL
                                ? NULL
                                : memchr(member.bytes, ' ', member.length);
        size_t length = blank == NULL ? 0 : (size_t)(blank - member.bytes);

        if (length > 0 && member.length == length + 1 + address.length &&
            memcmp(blank + 1, address.bytes, address.length) == 0) {
            g_ptr_array_add(forget->waiting, g_strndup(member.bytes, length));
        }
    }
}

static bool take_number(struct forget *forget, long long *number)
{
    redisReply *reply = command_store_next(forget->store, &forget->error);

    if (reply == NULL) {
        return false;
    }
    *number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    freeReplyObject(reply);
    return true;
}

static bool find_history(struct forget *forget)
{
    struct text address = {forget->mailbox.address,
                           forget->mailbox.address_length};
    struct text domain = text_of(forget->mailbox.domain);
    struct text none = text_of(NULL);
    long long due = 0;
    redisReply *waiting;

    if (!add_key(forget, "HLEN", STORE_RECIPIENT, address, address, none) ||
        !add_key(forget, "ZCARD", STORE_STRIKES, address, address, none) ||
        !add_key(forget, "LLEN", STORE_EVIDENCE, address, address, none) ||
        !add_key(forget, "HEXISTS", STORE_DUE, address, none, address) ||
        !add_key(forget, "ZRANGE", STORE_WAITING, domain, domain, none) ||
        !take_number(forget, &forget->history) ||
        !take_number(forget, &forget->strikes) ||
        !take_number(forget, &forget->evidence) || !take_number(forget, &due)) {
        return false;
    }
    forget->is_due = due == 1;
    waiting = command_store_next(forget->store, &forget->error);
    if (waiting == NULL) {
        return false;
    }
    take_waiting(forget, waiting);
    freeReplyObject(waiting);
    return true;
}

/*
 * Their strikes are counted with those for all mail, which has those of
 * requests too: behind all scopes.
 */
static bool find_scopes(struct forget *forget)
{
    const struct settings *settings = forget->call->settings;
    struct text address = {forget->mailbox.address,
                           forget->mailbox.address_length};

    for (size_t i = 0; i <= settings->scope_count; i++) {
        const bool is_scope = i < settings->scope_count;
        const char *scope =
            is_scope ? settings->scopes[i].name : STORE_SCOPE_ALL;
        struct store_key key;
        long long strikes;

        if (!store_key_strikes(settings->key_prefix,
                               store_bucket(address.bytes, address.length),
                               text_of(scope), address, &key)) {
            continue;
        }
        if (!command_store_add(
                forget->store, 2,
                (const struct text[]){text_of("ZCARD"), {key.text, key.length}},
                &forget->error) ||
            !take_number(forget, &strikes)) {
            return false;
        }
        forget->strikes += strikes;
        if (strikes > 0 && is_scope) {
            g_ptr_array_add(forget->scopes, settings->scopes[i].name);
        }
    }
    return true;
}

/* ---- entries, of whatever scope ---- */

static bool visit(void *context, const redisReply *keys)
{
    struct forget *forget = context;

    for (size_t i = 0; i < keys->elements; i++) {
        struct text name = command_store_text(keys->element[i]);
        struct forget_entry entry = {.list = forget->walked};
        struct command_store_key key;
        bool is_known = false;

        if (name.length < forget->mailbox.address_length ||
            memcmp(name.bytes + name.length - forget->mailbox.address_length,
                   forget->mailbox.address,
                   forget->mailbox.address_length) != 0 ||
            !command_store_parse(forget->call->settings, forget->walked, name,
                                 &key) ||
            !key.normal || !text_is(key.pattern, forget->mailbox.address)) {
            continue;
        }
        (void)text_copy(key.scope, entry.scope, sizeof entry.scope);
        for (guint j = 0; j < forget->entries->len; j++) {
            const struct forget_entry *other =
                &g_array_index(forget->entries, struct forget_entry, j);

            is_known = is_known || (other->list == entry.list &&
                                    strcmp(other->scope, entry.scope) == 0);
        }
        if (!is_known) { /* SCAN may give one twice */
            g_array_append_val(forget->entries, entry);
        }
    }
    return true;
}

static bool find_entries(struct forget *forget, enum store_list list)
{
    const struct command_store_walk walk = {
        .list = list, .visit = visit, .context = forget};

    forget->walked = list;
    return command_store_walk(forget->store, forget->call->settings, &walk,
                              &forget->error);
}

bool command_forget_find(struct forget *forget)
{
    return find_history(forget) && find_scopes(forget) &&
           find_entries(forget, STORE_SUPPRESS) &&
           find_entries(forget, STORE_ALLOW);
}
