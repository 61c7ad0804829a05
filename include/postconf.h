/*
 * postconf.h - what Postfix says of its own parameters
 *
 * Runs postconf(1) with an argument vector, without a shell and with an
 * environment of our own; of ours only MAIL_CONFIG is handed on, which names
 * the folder of an instance that is not the default one.
 *
 * Waits    at most five seconds, then ends it.
 * Threads  any.
 */
#ifndef NIXIE_POSTCONF_H
#define NIXIE_POSTCONF_H

enum postconf_result {
    POSTCONF_DONE,
    POSTCONF_ABSENT, /* no Postfix on this host */
    POSTCONF_FAILED,
};

/*
 * directory NULL: the default one. words: what to ask, ended by NULL, at most
 * 16. *output is new, NUL-terminated, or NULL.
 */
enum postconf_result postconf(const char *directory, const char *const *words,
                              char **output);

#endif
