#include "report_memory.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 8192

struct block {
    struct block *next;
    size_t size, used;
    alignas(max_align_t) char bytes[];
};

struct report_memory {
    struct block *block; /* the one in use, then older ones */
    size_t size, limit;  /* of all blocks */
    bool failed;
};

struct report_memory *report_memory_new(size_t limit)
{
    struct report_memory *memory = calloc(1, sizeof *memory);

    if (memory != NULL) {
        memory->limit = limit;
    }
    return memory;
}

static void free_blocks(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

void report_memory_free(struct report_memory *memory)
{
    if (memory != NULL) {
        free_blocks(memory->block);
        free(memory);
    }
}

void report_memory_reset(struct report_memory *memory)
{
    if (memory->block != NULL) {
        free_blocks(memory->block->next);
        memory->block->next = NULL;
        memory->block->used = 0;
        memory->size = memory->block->size;
    }
    memory->failed = false;
}

static struct block *add_block(struct report_memory *memory, size_t size)
{
    struct block *block;

    size = size < BLOCK_SIZE ? BLOCK_SIZE : size;
    if (size > memory->limit || memory->size > memory->limit - size) {
        return NULL;
    }
    block = malloc(sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->next = memory->block;
    block->size = size;
    block->used = 0;
    memory->block = block;
    memory->size += size;
    return block;
}

static size_t aligned(size_t size)
{
    size_t unit = alignof(max_align_t);

    return (size + unit - 1) / unit * unit;
}

void *report_memory_take(struct report_memory *memory, size_t size)
{
    struct block *block = memory->block;
    char *taken;

    if (size > memory->limit) {
        memory->failed = true;
        return NULL;
    }
    size = aligned(size);
    if (block == NULL || block->size - block->used < size) {
        block = add_block(memory, size);
    }
    if (block == NULL) {
        memory->failed = true;
        return NULL;
    }
    taken = block->bytes + block->used;
    block->used += size;
    return taken;
}

void report_memory_shrink(struct report_memory *memory, const void *last,
                          size_t used)
{
    struct block *block = memory->block;
    const char *start = last;

    block->used = aligned((size_t)(start - block->bytes) + used);
}

bool report_memory_failed(const struct report_memory *memory)
{
    return memory->failed;
}

size_t report_memory_size(const struct report_memory *memory)
{
    return memory->size;
}

/* --- copies ------------------------------------------------------------ */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* At most `most`, and not within a UTF-8 sequence. */
static size_t cut(struct text text, size_t most)
{
    size_t length = most;

    while (length > 0 && most - length < 4 &&
           ((unsigned char)text.bytes[length] & 0xc0) == 0x80) {
        length--;
    }
    return length;
}

/* Line ends with the blanks around them become a space. */
static size_t unfold(struct text text, char *out)
{
    size_t used = 0;
    size_t i = 0;

    while (i < text.length) {
        size_t end = i;
        bool line_end = false;

        while (end < text.length && is_blank(text.bytes[end])) {
            line_end =
                line_end || text.bytes[end] == '\n' || text.bytes[end] == '\r';
            end++;
        }
        if (line_end) {
            if (used > 0 && end < text.length) {
                out[used++] = ' ';
            }
            i = end;
        } else if (end > i) {
            memcpy(out + used, text.bytes + i, end - i);
            used += end - i;
            i = end;
        } else {
            out[used++] = text.bytes[i++];
        }
    }
    return used;
}

struct text report_memory_text(struct report_memory *memory, struct text text,
                               size_t most)
{
    size_t length = text.length;
    char *copy;

    if (length > most) {
        length = cut(text, most);
    }
    copy = report_memory_take(memory, length > 0 ? length : 1);
    if (copy == NULL) {
        return (struct text){NULL, 0};
    }
    text.length = length;
    if (length > 0 && memchr(text.bytes, '\n', length) == NULL &&
        memchr(text.bytes, '\r', length) == NULL) {
        memcpy(copy, text.bytes, length);
    } else {
        length = unfold(text, copy);
        report_memory_shrink(memory, copy, length);
    }
    return (struct text){copy, length};
}
