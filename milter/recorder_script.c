#include "recorder_script.h"

#include "recorder_merge.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * KEYS  the checkpoint, then the key of each run of operations
 * ARGV  instance, expected, last; how many rights are needed, and for each
 *       the command and a key; then "key" (go to the next of KEYS) or an
 *       operation with field and value, "?" before it when it is conditional
 *
 * The checkpoint is written first: what refuses writes (memory, replicas, a
 * read-only server) refuses there, with nothing written. Behind it nothing
 * stops the chain: an effect that Redis refuses is counted, as dead where it
 * meets somebody's value, else as lost. No clock and no chance in it: a
 * replica that runs it comes to the same.
 *
 * In parts, as compilers need not take a longer string.
 *
 * What a test found is in held until the next test. Before version 7 Redis
 * has no EXPIREAT NX and GT: there the last to extend a life ends it.
 */
static const char script_begin[] =
    "local function failed(reply)\n"
    "  return type(reply) == 'table' and reply.err\n"
    "end\n"
    "local reply = redis.pcall('HGET', KEYS[1], ARGV[1])\n"
    "if failed(reply) then return reply end\n"
    "if (reply or '') ~= ARGV[2] then return {'ELSEWHERE', reply or ''} end\n"
    "local at = 5 + 2 * ARGV[4]\n"
    "if redis.acl_check_cmd then\n"
    "  for i = 5, at - 1, 2 do\n"
    "    if not redis.acl_check_cmd(ARGV[i], ARGV[i + 1]) then\n"
    "      return redis.error_reply('NOPERM no permission to run ' ..\n"
    "        ARGV[i] .. ' on ' .. string.gsub(ARGV[i + 1], '[%c\\'`]', '?'))\n"
    "    end\n"
    "  end\n"
    "end\n"
    "reply = redis.pcall('HSET', KEYS[1], ARGV[1], ARGV[3])\n"
    "if failed(reply) then return reply end\n"
    "local held, skip = false, 0\n"
    "local function set(key, field, value)\n"
    "  if value == '' then return redis.pcall('HDEL', key, field) end\n"
    "  return redis.pcall('HSET', key, field, value)\n"
    "end\n";

/* What nearly each event does. */
static const char script_basic[] =
    "local apply = {\n"
    "  add = function(key, field, value)\n"
    "    return redis.pcall('HINCRBY', key, field, value)\n"
    "  end,\n"
    "  first = function(key, field, value)\n"
    "    local found = redis.pcall('HGET', key, field)\n"
    "    if found and (failed(found) or found <= value) then return found end\n"
    "    return redis.pcall('HSET', key, field, value)\n"
    "  end,\n"
    "  last = function(key, field, value)\n"
    "    held = false\n"
    "    local found = redis.pcall('HGET', key, field)\n"
    "    if found and (failed(found) or found > value) then return found end\n"
    "    held = true\n"
    "    return redis.pcall('HSET', key, field, value)\n"
    "  end,\n"
    "  set = set,\n"
    "  ['?set'] = function(key, field, value)\n"
    "    if held then return set(key, field, value) end\n"
    "  end,\n"
    "  delete = function(key) return redis.pcall('DEL', key) end,\n"
    "  expire = function(key, field, value)\n"
    "    return redis.pcall('EXPIREAT', key, value)\n"
    "  end,\n"
    "}\n";

/* The rest is made when the first of it is met: in a short call it counts. */
static const char script_tests[] =
    "local function more()\n"
    "  apply.unless = function(key, field, value)\n"
    "    local found = redis.pcall('HGET', key, field)\n"
    "    held = not found or not failed(found) and found < value\n"
    "    return found\n"
    "  end\n"
    "  apply.has = function(key, field)\n"
    "    local found = redis.pcall('HGET', key, field)\n"
    "    held = found and not failed(found)\n"
    "    return found\n"
    "  end\n"
    "  apply.is = function(key, field, value)\n"
    "    local found = redis.pcall('HGET', key, field)\n"
    "    held = found == value\n"
    "  end\n"
    "  apply.absent = function(key)\n"
    "    held = redis.pcall('EXISTS', key) == 0\n"
    "  end\n"
    "  apply.reaches = function(key, field, value)\n"
    "    local found = redis.pcall('HGET', key, field)\n"
    "    held = found and not failed(found) and\n"
    "      string.find(found, '^%d+$') and tonumber(found) >= tonumber(value)\n"
    "    return found\n"
    "  end\n";

static const char script_others[] =
    "  apply.extend = function(key, field, value)\n"
    "    local done = redis.pcall('EXPIREAT', key, value, 'NX')\n"
    "    if failed(done) then return redis.pcall('EXPIREAT', key, value) end\n"
    "    if done == 1 then return done end\n"
    "    return redis.pcall('EXPIREAT', key, value, 'GT')\n"
    "  end\n"
    "  apply.mark = function(key, field, value)\n"
    "    return redis.pcall('ZADD', key, value, field)\n"
    "  end\n"
    "  apply.unmark = function(key, field)\n"
    "    return redis.pcall('ZREM', key, field)\n"
    "  end\n"
    "  apply.forget = function(key, field, value)\n"
    "    return redis.pcall('ZREMRANGEBYSCORE', key, '-inf', value)\n"
    "  end\n"
    "  apply.push = function(key, field, value)\n"
    "    local done = redis.pcall('LPUSH', key, value)\n"
    "    if failed(done) then return done end\n"
    "    return redis.pcall('LTRIM', key, 0, 2)\n"
    "  end\n"
    "  apply.strike = function(key, field, value)\n"
    "    local found = redis.pcall('ZSCORE', key, field)\n"
    "    held = not found\n"
    "    if found and (failed(found) or\n"
    "                  tonumber(found) <= tonumber(value)) then\n"
    "      return found\n"
    "    end\n"
    "    return redis.pcall('ZADD', key, value, field)\n"
    "  end\n"
    "  apply.due = function(key, since, value)\n"
    "    held = false\n"
    "    local upto, limit, days = string.match(value, '(%S+) (%S+) (%S+)')\n"
    "    local found = redis.pcall('ZCOUNT', key, since, upto)\n"
    "    if failed(found) or found < tonumber(limit) then return found end\n"
    "    for _ = 1, tonumber(days) do\n"
    "      found = redis.pcall('ZRANGEBYSCORE', key, since, upto,\n"
    "                          'WITHSCORES', 'LIMIT', 0, 1)\n"
    "      if failed(found) or not found[2] then return found end\n"
    "      since = (math.floor(found[2] / 86400) + 1) * 86400\n"
    "    end\n"
    "    held = true\n"
    "  end\n"
    "  apply.once = function(key, count, value)\n"
    "    if redis.pcall('EXISTS', key) == 1 then\n"
    "      skip = tonumber(count)\n"
    "      return\n"
    "    end\n"
    "    local done = redis.pcall('HSET', key, 'once', 1)\n"
    "    if failed(done) then return done end\n"
    "    return redis.pcall('EXPIREAT', key, value)\n"
    "  end\n"
    "end\n";

static const char script_end[] =
    "local function is_of_value(why)\n"
    "  for _, sign in ipairs({'WRONGTYPE', 'would overflow',\n"
    "                         'not an integer', 'hash value is not'}) do\n"
    "    if string.find(why, sign, 1, true) then return true end\n"
    "  end\n"
    "end\n"
    "local key, number = 1, 0\n"
    "local dead = {count = 0, first = 0, why = ''}\n"
    "local lost = {count = 0, first = 0, why = ''}\n"
    "while at <= #ARGV do\n"
    "  local word = ARGV[at]\n"
    "  if word == 'key' then\n"
    "    key = key + 1\n"
    "    at = at + 1\n"
    "  elseif skip > 0 then\n"
    "    skip = skip - 1\n"
    "    number = number + 1\n"
    "    at = at + 3\n"
    "  else\n"
    "    local run = apply[word]\n"
    "    if not run then\n"
    "      if more then more() end\n"
    "      more = nil\n"
    "      run = apply[word] or held and apply[string.sub(word, 2)]\n"
    "    end\n"
    "    number = number + 1\n"
    "    if run then\n"
    "      reply = run(KEYS[key], ARGV[at + 1], ARGV[at + 2])\n"
    "      if failed(reply) then\n"
    "        local of = is_of_value(reply.err) and dead or lost\n"
    "        if of.count == 0 then of.first, of.why = number, reply.err end\n"
    "        of.count = of.count + 1\n"
    "      end\n"
    "    end\n"
    "    at = at + 3\n"
    "  end\n"
    "end\n"
    "return {'OK', dead.count, dead.first, dead.why,\n"
    "        lost.count, lost.first, lost.why}\n";

_Static_assert(EFFECT_PUSHED == 3, "LTRIM keeps as many");

enum command {
    COMMAND_HGET,
    COMMAND_HSET,
    COMMAND_HINCRBY,
    COMMAND_HDEL,
    COMMAND_DEL,
    COMMAND_EXPIREAT,
    COMMAND_ZADD,
    COMMAND_ZREM,
    COMMAND_ZREMRANGEBYSCORE,
    COMMAND_ZSCORE,
    COMMAND_ZCOUNT,
    COMMAND_ZRANGEBYSCORE,
    COMMAND_LPUSH,
    COMMAND_LTRIM,
    COMMAND_EXISTS,
    COMMANDS,
};

static const char *const command_words[COMMANDS] = {
    [COMMAND_HGET] = "HGET",
    [COMMAND_HSET] = "HSET",
    [COMMAND_HINCRBY] = "HINCRBY",
    [COMMAND_HDEL] = "HDEL",
    [COMMAND_DEL] = "DEL",
    [COMMAND_EXPIREAT] = "EXPIREAT",
    [COMMAND_ZADD] = "ZADD",
    [COMMAND_ZREM] = "ZREM",
    [COMMAND_ZREMRANGEBYSCORE] = "ZREMRANGEBYSCORE",
    [COMMAND_ZSCORE] = "ZSCORE",
    [COMMAND_ZCOUNT] = "ZCOUNT",
    [COMMAND_ZRANGEBYSCORE] = "ZRANGEBYSCORE",
    [COMMAND_LPUSH] = "LPUSH",
    [COMMAND_LTRIM] = "LTRIM",
    [COMMAND_EXISTS] = "EXISTS",
};

#define BIT(command) (1U << (unsigned)(command))

static const struct operation_row {
    const char *word;  /* behind the "?" of a conditional one */
    unsigned commands; /* that it may run */
    const char *names; /* of them */
} operations[] = {
    [EFFECT_ADD] = {"?add", BIT(COMMAND_HINCRBY), "HINCRBY"},
    [EFFECT_FIRST] = {"?first", BIT(COMMAND_HGET) | BIT(COMMAND_HSET),
                      "HGET,HSET"},
    [EFFECT_LAST] = {"?last", BIT(COMMAND_HGET) | BIT(COMMAND_HSET),
                     "HGET,HSET"},
    [EFFECT_SET] = {"?set", BIT(COMMAND_HSET), "HSET"},
    [EFFECT_DELETE] = {"?delete", BIT(COMMAND_DEL), "DEL"},
    [EFFECT_EXPIRE] = {"?expire", BIT(COMMAND_EXPIREAT), "EXPIREAT"},
    [EFFECT_EXTEND] = {"?extend", BIT(COMMAND_EXPIREAT), "EXPIREAT"},
    [EFFECT_MARK] = {"?mark", BIT(COMMAND_ZADD), "ZADD"},
    [EFFECT_UNMARK] = {"?unmark", BIT(COMMAND_ZREM), "ZREM"},
    [EFFECT_FORGET] = {"?forget", BIT(COMMAND_ZREMRANGEBYSCORE),
                       "ZREMRANGEBYSCORE"},
    [EFFECT_PUSH] = {"?push", BIT(COMMAND_LPUSH) | BIT(COMMAND_LTRIM),
                     "LPUSH,LTRIM"},
    [EFFECT_STRIKE] = {"?strike", BIT(COMMAND_ZSCORE) | BIT(COMMAND_ZADD),
                       "ZSCORE,ZADD"},
    [EFFECT_UNLESS] = {"?unless", BIT(COMMAND_HGET), "HGET"},
    [EFFECT_HAS] = {"?has", BIT(COMMAND_HGET), "HGET"},
    [EFFECT_IS] = {"?is", BIT(COMMAND_HGET), "HGET"},
    [EFFECT_ABSENT] = {"?absent", BIT(COMMAND_EXISTS), "EXISTS"},
    [EFFECT_REACHES] = {"?reaches", BIT(COMMAND_HGET), "HGET"},
    [EFFECT_DUE] = {"?due", BIT(COMMAND_ZCOUNT) | BIT(COMMAND_ZRANGEBYSCORE),
                    "ZCOUNT,ZRANGEBYSCORE"},
    [EFFECT_ONCE] = {"?once",
                     BIT(COMMAND_EXISTS) | BIT(COMMAND_HSET) |
                         BIT(COMMAND_EXPIREAT),
                     "EXISTS,HSET,EXPIREAT"},
};

static const struct operation_row removal = {"?set", BIT(COMMAND_HDEL), "HDEL"};

static const struct operation_row *
row_of(const struct window_operation *operation)
{
    return operation->operation == EFFECT_SET && operation->value.length == 0
               ? &removal
               : &operations[operation->operation];
}

struct recorder_script {
    struct recorder_merge *merge;
    gchar *text;
    char sha1[41];
    const char **arguments;
    size_t *lengths;
    size_t count, size;
};

void recorder_checkpoint_format(int64_t checkpoint, char text[CHECKPOINT_SIZE])
{
    text[0] = '\0';
    if (checkpoint >= 0) {
        /* 19 digits at most */
        (void)snprintf(text, CHECKPOINT_SIZE, "%lld", (long long)checkpoint);
    }
}

/* Only what _format() writes: the script compares the digits. */
int64_t recorder_checkpoint_parse(struct text text)
{
    int64_t checkpoint = 0;

    if (text.length == 0) {
        return CHECKPOINT_ABSENT;
    }
    if (text.length > 18 || (text.length > 1 && text.bytes[0] == '0')) {
        return CHECKPOINT_DAMAGED;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return CHECKPOINT_DAMAGED;
        }
        checkpoint = checkpoint * 10 + (text.bytes[i] - '0');
    }
    return checkpoint;
}

struct recorder_script *recorder_script_new(void)
{
    struct recorder_script *script = calloc(1, sizeof *script);
    gchar *sum;

    if (script == NULL) {
        return NULL;
    }
    script->merge = recorder_merge_new();
    if (script->merge == NULL) {
        free(script);
        return NULL;
    }
    script->text = g_strconcat(script_begin, script_basic, script_tests,
                               script_others, script_end, NULL);
    /* EVALSHA takes the SHA-1 as the name of a script: no secret */
    sum = g_compute_checksum_for_string(G_CHECKSUM_SHA1, script->text, -1);
    text_copy(text_of(sum), script->sha1, sizeof script->sha1);
    g_free(sum);
    return script;
}

void recorder_script_free(struct recorder_script *script)
{
    if (script == NULL) {
        return;
    }
    recorder_merge_free(script->merge);
    g_free(script->text);
    free(script->arguments);
    free(script->lengths);
    free(script);
}

static bool reserve(struct recorder_script *script, size_t size)
{
    const char **arguments;
    size_t *lengths;

    if (size <= script->size) {
        return true;
    }
    arguments = realloc(script->arguments, size * sizeof *arguments);
    if (arguments == NULL) {
        return false;
    }
    script->arguments = arguments;
    lengths = realloc(script->lengths, size * sizeof *lengths);
    if (lengths == NULL) {
        return false;
    }
    script->lengths = lengths;
    script->size = size;
    return true;
}

static void put(struct recorder_script *script, struct text argument)
{
    script->arguments[script->count] =
        argument.bytes == NULL ? "" : argument.bytes;
    script->lengths[script->count] = argument.length;
    script->count++;
}

static void put_string(struct recorder_script *script, const char *argument)
{
    put(script, text_of(argument));
}

/* Operations in a row on one key share its bytes: see recorder_window. */
static bool is_next_key(const struct text *key, struct text next)
{
    return key->bytes != next.bytes || key->length != next.length;
}

static size_t put_keys(struct recorder_script *script)
{
    struct text key = {NULL, 0};
    size_t put_before = 0;
    size_t count;
    const struct merged_operation *merged =
        recorder_merge_operations(script->merge, &count);

    for (size_t i = 0; i < count; i++) {
        if (is_next_key(&key, merged[i].operation->key)) {
            key = merged[i].operation->key;
            put(script, key);
            put_before++;
        }
    }
    return put_before;
}

/* Each command with the first key that it may be run on; how many. */
static size_t put_rights(struct recorder_script *script)
{
    unsigned put_before = 0;
    size_t rights = 0;
    size_t count;
    const struct merged_operation *merged =
        recorder_merge_operations(script->merge, &count);

    for (size_t i = 0; i < count; i++) {
        const struct window_operation *operation = merged[i].operation;
        unsigned wanted = row_of(operation)->commands & ~put_before;

        put_before |= wanted;
        for (unsigned command = 0; wanted != 0; command++) {
            if ((wanted & BIT(command)) != 0) {
                put_string(script, command_words[command]);
                put(script, operation->key);
                rights++;
            }
            wanted &= ~BIT(command);
        }
    }
    return rights;
}

static void put_operations(struct recorder_script *script)
{
    struct text key = {NULL, 0};
    size_t count;
    const struct merged_operation *merged =
        recorder_merge_operations(script->merge, &count);

    for (size_t i = 0; i < count; i++) {
        const struct window_operation *operation = merged[i].operation;

        if (is_next_key(&key, operation->key)) {
            key = operation->key;
            put_string(script, "key");
        }
        put_string(script, row_of(operation)->word + !operation->conditional);
        put(script, operation->field);
        put(script, merged[i].value);
    }
}

bool recorder_script_send(struct recorder_script *script,
                          struct redis_link *link,
                          enum recorder_script_form form,
                          const struct recorder_owner *owner,
                          const struct recorder_call *call)
{
    struct store_key checkpoint;
    char expected[CHECKPOINT_SIZE], last[CHECKPOINT_SIZE];
    char keys[24], rights[24];
    size_t count, rights_at;

    /* a key and "key", word, field, value for each; the eight before, and
     * the rights */
    if (!reserve(script, 8 + 2 * COMMANDS + 5 * call->operations) ||
        !recorder_merge_call(script->merge, call) ||
        !store_key_history(owner->prefix, call->bucket, STORE_CHECKPOINT,
                           text_of(NULL), &checkpoint)) {
        return false;
    }
    recorder_checkpoint_format(call->expected, expected);
    recorder_checkpoint_format(call->last, last);
    script->count = 0;
    put_string(script, form == SCRIPT_EVAL ? "EVAL" : "EVALSHA");
    put_string(script, form == SCRIPT_EVAL ? script->text : script->sha1);
    put_string(script, ""); /* how many keys: known below */
    put(script, (struct text){checkpoint.text, checkpoint.length});
    count = 1 + put_keys(script);
    (void)snprintf(keys, sizeof keys, "%zu", count);
    script->arguments[2] = keys;
    script->lengths[2] = strlen(keys);
    put_string(script, owner->instance);
    put_string(script, expected);
    put_string(script, last);
    rights_at = script->count;
    put_string(script, ""); /* as above */
    count = put_rights(script);
    (void)snprintf(rights, sizeof rights, "%zu", count);
    script->arguments[rights_at] = rights;
    script->lengths[rights_at] = strlen(rights);
    put_operations(script);
    return redis_link_command(link, script->count, script->arguments,
                              script->lengths);
}

/* Made once more, as other calls were sent meanwhile. */
static const struct window_operation *
operation_at(struct recorder_script *script, const struct recorder_call *call,
             size_t index)
{
    const struct merged_operation *merged;
    size_t count;

    if (!recorder_merge_call(script->merge, call)) {
        return NULL;
    }
    merged = recorder_merge_operations(script->merge, &count);
    return index < count ? merged[index].operation : NULL;
}

static bool is_string(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ||
           reply->type == REDIS_REPLY_STATUS;
}

static struct text text_in(const redisReply *reply)
{
    struct text text = {reply->str, (size_t)reply->len};

    return text;
}

void recorder_refusal_add(struct recorder_refusal *refusal,
                          const struct window_operation *operation,
                          struct text error)
{
    if (refusal->count == 0) {
        (void)text_escape(operation->key, refusal->key, sizeof refusal->key);
        (void)text_escape(error, refusal->error, sizeof refusal->error);
        refusal->commands = row_of(operation)->names;
    }
    refusal->count++;
}

/* Three elements: how many, the number of the first, why. */
static void read_refusal(struct recorder_script *script,
                         redisReply *const *elements,
                         const struct recorder_call *call,
                         struct recorder_refusal *refusal)
{
    const struct window_operation *operation;

    if (elements[0]->type != REDIS_REPLY_INTEGER || elements[0]->integer <= 0 ||
        elements[1]->integer < 1 || !is_string(elements[2])) {
        return;
    }
    operation = operation_at(script, call, (size_t)elements[1]->integer - 1);
    if (operation != NULL) {
        recorder_refusal_add(refusal, operation, text_in(elements[2]));
    }
    refusal->count = (uint64_t)elements[0]->integer;
}

void recorder_script_result(struct recorder_script *script,
                            const redisReply *reply,
                            const struct recorder_call *call,
                            struct recorder_result *result)
{
    *result = (struct recorder_result){.outcome = OUTCOME_REFUSED};
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        !is_string(reply->element[0])) {
        return;
    }
    if (text_is(text_in(reply->element[0]), "OK") && reply->elements == 7) {
        result->outcome = OUTCOME_APPLIED;
        read_refusal(script, reply->element + 1, call, &result->dead);
        read_refusal(script, reply->element + 4, call, &result->lost);
    } else if (text_is(text_in(reply->element[0]), "ELSEWHERE") &&
               is_string(reply->element[1])) {
        result->outcome = OUTCOME_ELSEWHERE;
    }
}
