/* The few calls on sockets that the client makes, the same on every system, and a set of sockets to wait on. */
#ifndef BENCH_CLIENT_SOCKET_H
#define BENCH_CLIENT_SOCKET_H

#include "../common/bench.h"

#include <stddef.h>
#include <stdint.h>

typedef uintptr_t client_socket;

/* A connection to the port on 127.0.0.1, with TCP_NODELAY set, or to the unix socket that the path names. Ends the program when it cannot be had. */
client_socket client_connect(const struct bench_options *options);

/* All of it, or the end of the program. */
void client_send(client_socket socket, const char *bytes, size_t length);

/* At least one byte; 0 when the server has closed. */
size_t client_receive(client_socket socket, char *bytes, size_t length);

void client_end_sending(client_socket socket);
void client_close(client_socket socket);

struct client_set;
struct client_set *client_set_open(size_t sockets_max);
void client_set_add(struct client_set *set, client_socket socket, void *context);
void client_set_remove(struct client_set *set, client_socket socket);
void client_set_close(struct client_set *set);

/* The contexts of those sockets that have something to receive; ends the program when none has for five seconds. */
size_t client_set_wait(struct client_set *set, void **contexts, size_t contexts_max);

#endif
