#include "base/progress.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/table.h"

#define WAIT_MS       1000 /* what is done sooner shows nothing */
#define EACH_MS       100
#define WIDTH_UNKNOWN 80

void progress_begin(struct progress *p, bool must_not_wait)
{
	*p = (struct progress){.fd = -1};
	if (!isatty(STDERR_FILENO))
		return;
	p->width = table_terminal_width(stderr);
	if (!p->width)
		p->width = WIDTH_UNKNOWN;
	p->begun_ms = clock_ms();
	p->fd = STDERR_FILENO;
	if (!must_not_wait)
		return;
	/* O_NONBLOCK belongs to the open file, which others share: another one of the same terminal */
	p->fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	p->is_own = p->fd >= 0;
}

static void put(const struct progress *p, const char *text, size_t n)
{
	ssize_t written = write(p->fd, text, n);

	(void)written;
}

static void show(struct progress *p, uint64_t n, uint64_t total, const char *text)
{
	auto_buf struct buf shown = {0}, line = {0};
	struct err ignored = ERR_INIT;
	size_t room = p->width - 1, head;

	if (total ? buf_printf(&line, &ignored, "\r[%" PRIu64 "/%" PRIu64 "] ", n, total)
		  : buf_printf(&line, &ignored, "\r[%" PRIu64 "] ", n))
		return;
	head = line.len - 1;
	if (head > room || escape_show(&shown, text, strlen(text), &ignored))
		return;
	/* a character takes no more cells than bytes; none is cut in half */
	if (shown.len > room - head) {
		shown.len = room - head;
		while (shown.len && ((uint8_t)shown.data[shown.len] & 0xc0) == 0x80)
			shown.len--;
	}
	if (buf_add(&line, shown.data, shown.len, &ignored) ||
	    buf_add_str(&line, "\033[K", &ignored))
		return;
	put(p, (const char *)line.data, line.len);
	p->is_shown = true;
}

void progress_say(struct progress *p, uint64_t n, uint64_t total, const char *fmt, ...)
{
	char text[256];
	uint64_t now;
	va_list ap;

	if (!p || p->fd < 0)
		return;
	now = clock_ms();
	if (now - p->begun_ms < WAIT_MS || now - p->shown_ms < EACH_MS)
		return;
	p->shown_ms = now;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	show(p, n, total, text);
}

void progress_clear(struct progress *p)
{
	static const char erase[] = "\r\033[K";

	if (!p)
		return;
	if (p->is_shown)
		put(p, erase, sizeof(erase) - 1);
	p->is_shown = false;
	p->shown_ms = 0;
}

void progress_end(struct progress *p)
{
	progress_clear(p);
	if (p->is_own)
		close(p->fd);
	*p = (struct progress){.fd = -1};
}
