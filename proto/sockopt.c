#include "proto/sockopt_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/hex.h"

/* Bytes of a value of a type; 0: it varies. */
static size_t type_size(enum sockopt_type type)
{
	static const uint8_t sizes[] = {
		[SOCKOPT_BOOL] = sizeof(int),
		[SOCKOPT_INT] = sizeof(int),
		[SOCKOPT_U32] = sizeof(int),
		[SOCKOPT_INDEX_BE] = sizeof(int),
		[SOCKOPT_U64] = sizeof(uint64_t),
		[SOCKOPT_TIMEVAL] = sizeof(struct timeval),
		[SOCKOPT_LINGER] = sizeof(struct linger),
		[SOCKOPT_STRING] = 0,
		[SOCKOPT_ADDR4] = sizeof(struct in_addr),
		[SOCKOPT_WORDS] = 0,
		[SOCKOPT_BYTES] = 0,
		[SOCKOPT_FILTER] = 0,
	};

	_Static_assert(sizeof(sizes) == SOCKOPT_TYPE_COUNT, "a size per type");
	return sizes[type];
}

static bool size_is_right(const struct sockopt *row, size_t len)
{
	size_t want = type_size(row->type);

	switch (row->type) {
	case SOCKOPT_FILTER:
		return len > 0 && len % sizeof(struct sock_filter) == 0 &&
		       len / sizeof(struct sock_filter) <= BPF_MAXINSNS;
	case SOCKOPT_WORDS:
		return len > 0 && len <= row->size && len % sizeof(uint32_t) == 0;
	case SOCKOPT_STRING:
	case SOCKOPT_BYTES:
		return len <= row->size;
	default:
		return len == want;
	}
}

/* Errors by which the kernel says "not this socket" or "not this kernel", as opposed to a failure. */
static bool is_absent(int error)
{
	switch (error) {
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case EINVAL:
	case ENOTCONN:
	case EADDRNOTAVAIL:
	case ENODEV:
	case EACCES:
	case EPERM:
	case ENODATA:
		return true;
	default:
		return false;
	}
}

/* sk_get_filter counts in instructions, also in optlen. */
static int read_filter(int fd, const struct sockopt *row, struct buf *v, struct err *e)
{
	socklen_t n = 0;

	if (getsockopt(fd, row->level, row->opt, NULL, &n) != 0) {
		if (errno == EACCES)
			return err_set(e, ERR_UNSUPPORTED,
				       "the socket's filter is eBPF, which cannot be read");
		return is_absent(errno) ? 0 : err_sys(e, ERR_KERNEL, "getsockopt %s", row->name);
	}
	if (n == 0)
		return 0;
	if (n > BPF_MAXINSNS)
		return err_set(e, ERR_RANGE, "a filter of %u instructions", (unsigned)n);
	if (buf_reserve(v, n * sizeof(struct sock_filter), e) != 0)
		return -1;
	if (getsockopt(fd, row->level, row->opt, v->data, &n) != 0)
		return err_sys(e, ERR_KERNEL, "getsockopt %s", row->name);
	v->len = n * sizeof(struct sock_filter);
	return n > 0;
}

int sockopt_read(int fd, const struct sockopt *row, struct buf *v, struct err *e)
{
	socklen_t len = type_size(row->type) ? type_size(row->type) : row->size;

	buf_reset(v);
	if (row->flags & SOCKOPT_WRITEONLY)
		return 0;
	if (row->type == SOCKOPT_FILTER)
		return read_filter(fd, row, v, e);
	if (buf_reserve(v, len, e) != 0)
		return -1;
	memset(v->data, 0, len); /* an int that comes as one byte (ip(7)) is an int then */
	if (getsockopt(fd, row->level, row->opt, v->data, &len) != 0)
		return is_absent(errno) ? 0 : err_sys(e, ERR_KERNEL, "getsockopt %s", row->name);
	if (type_size(row->type))
		len = type_size(row->type);
	if (row->type == SOCKOPT_STRING)
		len = strnlen((const char *)v->data, len);
	v->len = len;
	v->data[len] = 0;
	return 1;
}

static const char *cap_name(int cap)
{
	switch (cap) {
	case CAP_NET_ADMIN:
		return "CAP_NET_ADMIN";
	case CAP_NET_RAW:
		return "CAP_NET_RAW";
	case CAP_NET_BROADCAST:
		return "CAP_NET_BROADCAST";
	default:
		return "a capability";
	}
}

static int write_failed(const struct sockopt *row, struct err *e)
{
	if (errno == EPERM || errno == EACCES)
		return err_sys(e, ERR_PERM, "set %s (wants %s)", row->name, cap_name(row->cap));
	if (errno == ENOPROTOOPT || errno == EOPNOTSUPP)
		return err_sys(e, ERR_UNSUPPORTED, "set %s", row->name);
	return err_sys(e, ERR_KERNEL, "set %s", row->name);
}

static int write_filter(int fd, const struct sockopt *row, struct span v, struct err *e)
{
	struct sock_fprog prog = {.len = v.len / sizeof(struct sock_filter),
				  .filter = (struct sock_filter *)v.data};

	if (setsockopt(fd, row->level, row->opt, &prog, sizeof(prog)) != 0)
		return write_failed(row, e);
	return 0;
}

static int write_halved(int fd, const struct sockopt *row, struct span v, struct err *e)
{
	int n;

	memcpy(&n, v.data, sizeof(n));
	n /= 2;
	if (row->force && setsockopt(fd, row->level, row->force, &n, sizeof(n)) == 0)
		return 0;
	if (setsockopt(fd, row->level, row->opt, &n, sizeof(n)) != 0)
		return write_failed(row, e);
	return 0;
}

int sockopt_write(int fd, const struct sockopt *row, struct span v, struct err *e)
{
	if (row->flags & SOCKOPT_READONLY)
		return err_set(e, ERR_UNSUPPORTED, "set %s: the kernel only tells it", row->name);
	if (!size_is_right(row, v.len))
		return err_set(e, ERR_FORMAT, "set %s: a value of %zu bytes", row->name, v.len);
	if (row->type == SOCKOPT_FILTER)
		return write_filter(fd, row, v, e);
	if (row->flags & SOCKOPT_HALVED)
		return write_halved(fd, row, v, e);
	if (setsockopt(fd, row->level, row->opt, v.len ? (const void *)v.data : "", v.len) != 0)
		return write_failed(row, e);
	return 0;
}

/* -- text -- */

static int format_hex(struct span v, bool marked, struct buf *out, struct err *e)
{
	return buf_add_str(out, marked ? "\"hex:" : "\"", e) || hex_add(out, v.data, v.len, e)
		       ? -1
		       : buf_add_str(out, "\"", e);
}

static bool is_plain(struct span v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i] < ' ' || v.data[i] > '~' || v.data[i] == '"' || v.data[i] == '\\')
			return false;
	}
	return true;
}

static int format_words(struct span v, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < v.len; i += sizeof(uint32_t)) {
		uint32_t w;

		memcpy(&w, v.data + i, sizeof(w));
		if (buf_printf(out, e, "%s%u", i ? "," : "[", w) != 0)
			return -1;
	}
	return buf_add_str(out, "]", e);
}

static int format_filter(struct span v, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < v.len; i += sizeof(struct sock_filter)) {
		struct sock_filter f;

		memcpy(&f, v.data + i, sizeof(f));
		if (buf_printf(out, e, "%s[%u,%u,%u,%u]", i ? "," : "[", f.code, f.jt, f.jf, f.k))
			return -1;
	}
	return buf_add_str(out, "]", e);
}

/* Values of fixed size as one number or string. */
static int format_fixed(const struct sockopt *row, struct span v, struct buf *out, struct err *e)
{
	union {
		int i;
		uint32_t u;
		uint64_t u64;
		struct timeval tv;
		struct linger l;
		struct in_addr a;
	} x;
	char text[INET_ADDRSTRLEN];

	memcpy(&x, v.data, v.len);
	switch (row->type) {
	case SOCKOPT_U32:
		return buf_printf(out, e, "%u", x.u);
	case SOCKOPT_INDEX_BE:
		return buf_printf(out, e, "%u", ntohl(x.u));
	case SOCKOPT_U64:
		return buf_printf(out, e, "\"%llu\"", (unsigned long long)x.u64);
	case SOCKOPT_TIMEVAL:
		return buf_printf(out, e, "%lld.%06ld", (long long)x.tv.tv_sec, (long)x.tv.tv_usec);
	case SOCKOPT_LINGER:
		return buf_printf(out, e, "%d", x.l.l_onoff ? x.l.l_linger : -1);
	case SOCKOPT_ADDR4:
		inet_ntop(AF_INET, &x.a, text, sizeof(text));
		return buf_printf(out, e, "\"%s\"", text);
	default:
		return buf_printf(out, e, "%d", x.i);
	}
}

static int format_value(const struct sockopt *row, struct span v, struct buf *out, struct err *e)
{
	switch (row->type) {
	case SOCKOPT_STRING:
		if (!is_plain(v))
			return format_hex(v, true, out, e);
		return buf_printf(out, e, "\"%.*s\"", (int)v.len,
				  v.len ? (const char *)v.data : "");
	case SOCKOPT_WORDS:
		return format_words(v, out, e);
	case SOCKOPT_FILTER:
		return format_filter(v, out, e);
	case SOCKOPT_BYTES:
		return format_hex(v, false, out, e);
	default:
		return format_fixed(row, v, out, e);
	}
}

/* One decimal or 0x number at *p, within bounds; *p is moved behind it. */
static bool parse_number(const char **p, long long min, unsigned long long max, uint64_t *n)
{
	char *end;
	bool negative = **p == '-';

	if ((**p < '0' || **p > '9') && !(negative && (*p)[1] >= '0' && (*p)[1] <= '9'))
		return false;
	errno = 0;
	*n = negative ? (uint64_t)strtoll(*p, &end, 0) : strtoull(*p, &end, 0);
	if (errno || (negative ? (long long)*n < min : *n > max))
		return false;
	*p = end;
	return true;
}

/* Numbers with brackets, commas and blanks between: words, or instructions of a filter. */
static int parse_list(const struct sockopt *row, const char *p, struct buf *v, struct err *e)
{
	uint32_t w[4];
	unsigned n = 0;

	for (;;) {
		uint64_t u;

		p += strspn(p, "[], \t\n");
		if (!*p)
			return n == 0;
		if (!parse_number(&p, 0, UINT32_MAX, &u))
			return 0;
		w[n++] = (uint32_t)u;
		if (row->type == SOCKOPT_FILTER && n == 4) {
			struct sock_filter f = {(uint16_t)w[0], (uint8_t)w[1], (uint8_t)w[2], w[3]};

			if (w[0] > UINT16_MAX || w[1] > UINT8_MAX || w[2] > UINT8_MAX)
				return 0;
			n = 0;
			if (buf_add(v, &f, sizeof(f), e) != 0)
				return -1;
		} else if (row->type == SOCKOPT_WORDS) {
			n = 0;
			if (buf_add(v, w, sizeof(w[0]), e) != 0)
				return -1;
		}
	}
}

/* Seconds with up to six decimals. */
static bool parse_seconds(const char *p, struct timeval *tv)
{
	uint64_t sec;
	long usec = 0;

	if (!parse_number(&p, 0, INT64_MAX, &sec))
		return false;
	if (*p == '.') {
		long unit = 100000;

		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
			usec += (*p - '0') * unit;
	}
	*tv = (struct timeval){(time_t)sec, usec};
	return *p == 0;
}

static bool parse_fixed(const struct sockopt *row, const char *p, void *value)
{
	bool is_word = row->type == SOCKOPT_U32 || row->type == SOCKOPT_INDEX_BE;
	uint64_t n;
	uint32_t u;

	switch (row->type) {
	case SOCKOPT_ADDR4:
		return inet_pton(AF_INET, p, value) == 1;
	case SOCKOPT_TIMEVAL:
		return parse_seconds(p, value);
	case SOCKOPT_U64:
		if (!parse_number(&p, 0, UINT64_MAX, &n))
			return false;
		memcpy(value, &n, sizeof(n));
		return *p == 0;
	default:
		break;
	}
	if (strcmp(p, "true") == 0)
		p = "1";
	else if (strcmp(p, "false") == 0)
		p = "0";
	if (!parse_number(&p, is_word ? 0 : INT32_MIN,
			  row->type == SOCKOPT_BOOL ? 1
			  : is_word                 ? UINT32_MAX
						    : INT32_MAX,
			  &n) ||
	    *p)
		return false;
	u = row->type == SOCKOPT_INDEX_BE ? htonl((uint32_t)n) : (uint32_t)n;
	if (row->type == SOCKOPT_LINGER) {
		struct linger l = {(int)u >= 0, (int)u >= 0 ? (int)u : 0};

		memcpy(value, &l, sizeof(l));
		return (int)u >= -1;
	}
	memcpy(value, &u, sizeof(u));
	return true;
}

static const char *type_words(const struct sockopt *row)
{
	static const char *const words[] = {
		[SOCKOPT_BOOL] = "0 or 1",
		[SOCKOPT_INT] = "a number",
		[SOCKOPT_U32] = "a number from 0 to 4294967295",
		[SOCKOPT_INDEX_BE] = "an interface index",
		[SOCKOPT_U64] = "a number",
		[SOCKOPT_TIMEVAL] = "seconds, with up to six decimals",
		[SOCKOPT_LINGER] = "seconds, or -1 for off",
		[SOCKOPT_STRING] = "a short text",
		[SOCKOPT_ADDR4] = "an IPv4 address",
		[SOCKOPT_WORDS] = "an array of numbers",
		[SOCKOPT_BYTES] = "bytes in hex",
		[SOCKOPT_FILTER] = "an array of instructions [code,jt,jf,k]",
	};

	_Static_assert(ARRAY_SIZE(words) == SOCKOPT_TYPE_COUNT, "words per type");
	return words[row->type];
}

/* 1: v has the value, 0: the text is not one, -1: no memory. text is without quotes. */
static int parse_value(const struct sockopt *row, const char *text, struct buf *v, struct err *e)
{
	uint64_t value[4] = {0};

	_Static_assert(sizeof(value) >= sizeof(struct timeval), "room for every fixed type");
	if (strncmp(text, "hex:", 4) == 0)
		return hex_undo(v, text + 4, strlen(text + 4), e);
	switch (row->type) {
	case SOCKOPT_STRING:
		return buf_add_str(v, text, e) == 0 ? 1 : -1;
	case SOCKOPT_BYTES:
		return hex_undo(v, text, strlen(text), e);
	case SOCKOPT_WORDS:
	case SOCKOPT_FILTER:
		return parse_list(row, text, v, e);
	default:
		if (!parse_fixed(row, text, value))
			return 0;
		return buf_add(v, value, type_size(row->type), e) == 0 ? 1 : -1;
	}
}

int sockopt_parse(const struct sockopt *row, const char *text, struct buf *v, struct err *e)
{
	size_t len = strlen(text);
	auto_free char *bare = NULL;
	int got;

	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		bare = strndup(text + 1, len - 2);
	else
		bare = strdup(text);
	if (!bare)
		return err_set(e, ERR_NOMEM, "out of memory");
	buf_reset(v);
	got = parse_value(row, bare, v, e);
	if (got < 0)
		return -1;
	if (!got || !size_is_right(row, v->len))
		return err_set(e, ERR_USAGE, "%s: '%s' is not %s", row->name, text,
			       type_words(row));
	return 0;
}

/* Values that no program sets (a boolean of 5, a linger time without its flag) have no text of their type. */
int sockopt_format(const struct sockopt *row, struct span v, struct buf *out, struct err *e)
{
	auto_buf struct buf back = {0};
	struct err why = ERR_INIT;
	size_t start = out->len;

	if (size_is_right(row, v.len)) {
		if (format_value(row, v, out, e) != 0)
			return -1;
		if (sockopt_parse(row, (const char *)out->data + start, &back, &why) == 0 &&
		    back.len == v.len && (!v.len || memcmp(back.data, v.data, v.len) == 0))
			return 0;
		if (buf_splice(out, start, out->len - start, NULL, 0, e) != 0)
			return -1;
	}
	return format_hex(v, true, out, e);
}
