/*
 * redis_server.h - a private redis-server for one test program
 *
 * It listens on a Unix socket in a folder of its own, keeps nothing on disk
 * unless told to, and dies with the test program.
 *
 * Threads  one: start and stop it from the main thread.
 */
#ifndef NIXIE_TESTS_REDIS_SERVER_H
#define NIXIE_TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_server;

/* True when redis-server is in PATH; without it tests exit with 77. */
bool redis_server_installed(void);

/*
 * New, answering, or NULL when it is not installed or does not come up (the
 * cause is on standard error). options are further arguments, such as
 * "--requirepass", "secret"; NULL-terminated; may be NULL. "--appendonly",
 * "yes" makes redis_server_restart() keep what was written.
 */
struct redis_server *redis_server_start(const char *const *options);

/* "unix:/…/redis.sock", "/…/redis.sock", and its folder; borrowed. */
const char *redis_server_location(const struct redis_server *server);
const char *redis_server_socket(const struct redis_server *server);
const char *redis_server_folder(const struct redis_server *server);

pid_t redis_server_pid(const struct redis_server *server); /* -1: killed */

/* SIGKILL, and waits until it is gone. */
void redis_server_kill(struct redis_server *server);

/* Kills it if it runs, and starts it again at the same place. */
bool redis_server_restart(struct redis_server *server);

/* Kills it and removes its folder. Takes it, or NULL. */
void redis_server_stop(struct redis_server *server);

/* A TCP port of 127.0.0.1 that is free at this moment. */
int redis_server_free_port(void);

#endif
