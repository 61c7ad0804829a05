/*
 * A line of evidence, which an operator may have written too. Of one that is
 * taken, time and reason are such, and the parts are those of the line.
 */
#include "command_why.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text line = {(const char *)data, size};
    struct why_evidence evidence;
    size_t length;
    enum reason reason;
    int64_t us;

    if (!why_evidence_parse(line, &evidence)) {
        return 0;
    }
    length = evidence.at.length + evidence.queue_id.length +
             evidence.message_id.length + evidence.reply_code.length +
             evidence.enhanced_status.length + evidence.reason.length +
             evidence.diagnostic.length;
    require(clock_parse(evidence.at.bytes, evidence.at.length, &us));
    require(reason_parse(evidence.reason, &reason));
    /* six blanks, or the line ends behind the reason */
    require(length + 6 == size || length + 5 == size);
    require(evidence.at.bytes == line.bytes);
    require(evidence.diagnostic.length == 0 ||
            evidence.diagnostic.bytes + evidence.diagnostic.length ==
                line.bytes + size);
    return 0;
}
