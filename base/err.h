/* err.h: how a failure is reported.
 *
 * Owns:  nothing; struct err is a plain value on the caller's stack, so reporting works when memory
 *        is short.
 * Never: prints, exits or allocates. Only main.c prints an error and picks the exit status.
 * Shape: int functions return 0 or -1 with *e filled, constructors a pointer or NULL with *e filled;
 *        on success *e is left alone. e is never NULL.
 */
#pragma once

#include <stddef.h>

enum err_code {
	ERR_NONE,
	ERR_USAGE,       /* the user's words are wrong */
	ERR_IO,          /* a file or descriptor failed */
	ERR_FORMAT,      /* bytes are not what the format says */
	ERR_RANGE,       /* a number or length is outside what is allowed */
	ERR_NOMEM,       /* out of memory */
	ERR_PERM,        /* a permission or capability is missing */
	ERR_GONE,        /* the object vanished (a process ended, a namespace died) */
	ERR_EXISTS,      /* the object is already there */
	ERR_NOTFOUND,    /* no such object */
	ERR_BUSY,        /* in use, or traced by somebody else */
	ERR_KERNEL,      /* the kernel refused; the message has its words */
	ERR_DB,          /* SQLite refused; the message has its words */
	ERR_CONFLICT,    /* two things in the input contradict each other */
	ERR_UNSUPPORTED, /* known, but cannot be done here */
	ERR_INTERRUPTED, /* a signal asked to stop, or a dump stayed inconsistent */
	ERR_CODE_COUNT
};

struct err {
	enum err_code code;
	int saved_errno; /* 0 when no system call was involved */
	char msg[768];
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		ERR_NONE, 0, ""                                                                    \
	}

/* Fill *e and return -1, so that reporting is one line: return err_set(e, ERR_IO, "open %s", path). */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and the text of errno (as it is on entry) appended, and saved_errno set.
 * EPERM and EACCES become ERR_PERM and ENOMEM ERR_NOMEM, whatever code says. */
int err_sys(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "PLACE: " before the message that is there, for context on the way up. Returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first two lines of what another program said, as one line (nft and iptables say in the second where). */
void err_first_lines(const char *text, char *out, size_t size);

/* One short word for a code ("usage", "io", ...), for JSON. Lent, static. */
const char *err_code_name(enum err_code code);
