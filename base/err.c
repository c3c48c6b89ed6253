#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[] = {
	[ERR_NONE] = "none",
	[ERR_USAGE] = "usage",
	[ERR_IO] = "io",
	[ERR_FORMAT] = "format",
	[ERR_RANGE] = "range",
	[ERR_NOMEM] = "memory",
	[ERR_PERM] = "permission",
	[ERR_GONE] = "gone",
	[ERR_EXISTS] = "exists",
	[ERR_NOTFOUND] = "not-found",
	[ERR_BUSY] = "busy",
	[ERR_KERNEL] = "kernel",
	[ERR_DB] = "database",
	[ERR_CONFLICT] = "conflict",
	[ERR_UNSUPPORTED] = "unsupported",
	[ERR_INTERRUPTED] = "interrupted",
};
static_assert(sizeof(code_names) / sizeof(*code_names) == ERR_CODE_COUNT, "a name per code");

__attribute__((format(printf, 4, 0))) static void err_fill(struct err *e, enum err_code code,
							   int sys, const char *fmt, va_list ap)
{
	int n;

	e->code = code;
	e->saved_errno = sys;
	n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	if (n < 0)
		n = 0;
	if (sys && (size_t)n < sizeof(e->msg))
		snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %s", strerror(sys));
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_fill(e, code, 0, fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *e, enum err_code code, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	if (sys == EPERM || sys == EACCES)
		code = ERR_PERM;
	else if (sys == ENOMEM)
		code = ERR_NOMEM;
	va_start(ap, fmt);
	err_fill(e, code, sys, fmt, ap);
	va_end(ap);
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char rest[sizeof(e->msg)];
	va_list ap;
	size_t at, room;
	int n;

	memcpy(rest, e->msg, sizeof(rest));
	va_start(ap, fmt);
	n = vsnprintf(e->msg, sizeof(e->msg) - 2, fmt, ap);
	va_end(ap);
	at = n < 0 ? 0 : (size_t)n;
	if (at > sizeof(e->msg) - 3)
		at = sizeof(e->msg) - 3;
	memcpy(e->msg + at, ": ", 2);
	room = sizeof(e->msg) - at - 3;
	rest[room < sizeof(rest) ? room : sizeof(rest) - 1] = '\0';
	memcpy(e->msg + at + 2, rest, strlen(rest) + 1);
	return -1;
}

const char *err_code_name(enum err_code code)
{
	return (unsigned)code < ERR_CODE_COUNT ? code_names[code] : "unknown";
}

void err_first_lines(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (int lines = 0; text && *text && n + 1 < size; text++) {
		if (*text == '\n' && ++lines == 2)
			break;
		out[n++] = *text == '\n' ? ' ' : *text;
	}
	out[n] = 0;
}
