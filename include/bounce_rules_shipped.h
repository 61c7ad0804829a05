/*
 * bounce_rules_shipped.h - where the rules are that come with nixie
 *
 * Where they are installed; else beside the program that runs, as in a tree in
 * which it was built and not installed.
 *
 * Threads  any.
 */
#ifndef NIXIE_BOUNCE_RULES_SHIPPED_H
#define NIXIE_BOUNCE_RULES_SHIPPED_H

/* The path, which the caller frees; NULL: nowhere, or out of memory. */
char *bounce_rules_shipped(void);

#endif
