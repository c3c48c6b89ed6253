/* sk_values.h: the options of sockets as bytes, read by threads while records are made of the sockets before.
 *
 * Owns:  the threads, and the bytes.
 * Never: waits for a thread that has not begun: whoever needs values then reads them itself.
 * Order: sk_values_post, sk_values_wait, reading, sk_values_free, in this order of the sockets; sk_readers_free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct sk_readers;

struct sk_values {
	int fd;        /* borrowed; open until sk_values_wait or sk_values_free */
	uint32_t kind; /* enum sockopt_kinds */
	pid_t pid;     /* whose descriptor number it is, of which the flags are read too; 0: none */
	int number;
	uint32_t fd_flags; /* O_CLOEXEC and those of the open file */
	/* one for each row of the table that such a socket has, in the order of the table */
	struct sk_value_at {
		uint16_t row; /* number in the table */
		int16_t got; /* as from sockopt_read; -1: a filter that is a program of eBPF, which cannot be read */
		uint32_t off, len; /* in bytes */
	} * all;
	size_t n;
	struct buf bytes;
	struct err why; /* reading ended with this */
	enum { SK_VALUES_NEW, SK_VALUES_BEGUN, SK_VALUES_READ } state;
	struct sk_values *next;
	bool is_posted;
};

/* One thread less than there are processors, at most four; with none all is read when it is needed. An owned handle or
 * NULL. */
struct sk_readers *sk_readers_new(struct err *e);
void sk_readers_free(struct sk_readers *p);

/* v is borrowed; fd and kind, and perhaps pid and number, are set, all else is zero. */
void sk_values_post(struct sk_readers *p, struct sk_values *v);

/* Until it is read. -1: it could not be. */
int sk_values_wait(struct sk_readers *p, struct sk_values *v, struct err *e);

/* The bytes of value i, lent; 1, or 0: it has none, or there are not so many. */
int sk_value(const struct sk_values *v, size_t i, struct span *bytes);

/* What a thread has begun is awaited first. */
void sk_values_free(struct sk_readers *p, struct sk_values *v);
