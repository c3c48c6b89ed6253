#include "inspect/edit/remap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* ---- bits ---- */

static bool has_bits(const uint8_t *a, const uint8_t *prefix, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return !memcmp(a, prefix, whole) &&
	       (!rest || !((a[whole] ^ prefix[whole]) & (0xff << (8 - rest))));
}

static void put_bits(uint8_t *a, const uint8_t *prefix, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));

	memcpy(a, prefix, whole);
	if (rest)
		a[whole] = (uint8_t)((a[whole] & ~mask) | (prefix[whole] & mask));
}

static bool overlap(const struct remap_pair *a, const uint8_t *x, const struct remap_pair *b,
		    const uint8_t *y)
{
	return a->family == b->family && has_bits(x, y, a->bits < b->bits ? a->bits : b->bits);
}

/* ---- pairs ---- */

/* Addresses with a meaning of their own. */
static const struct special {
	int family;
	unsigned bits;
	uint8_t prefix[16];
	bool is_open; /* may be mapped inside itself */
	const char *what;
} specials[] = {
	{AF_INET, 8, {0}, false, "0.0.0.0/8 means this host"},
	{AF_INET, 8, {127}, true, "127.0.0.0/8 is the loopback network"},
	{AF_INET, 4, {224}, false, "224.0.0.0/4 is multicast"},
	{AF_INET, 32, {255, 255, 255, 255}, false, "255.255.255.255 is the broadcast address"},
	{AF_INET6, 96, {0}, false, "::/96 holds the unspecified and the loopback address"},
	{AF_INET6,
	 96,
	 {[10] = 0xff, [11] = 0xff},
	 false,
	 "::ffff:0:0/96 is IPv4: write the IPv4 prefix, which covers it"},
	{AF_INET6, 10, {0xfe, 0x80}, true, "fe80::/10 is link-local"},
	{AF_INET6, 8, {0xff}, false, "ff00::/8 is multicast"},
};

static int check_special(const struct remap_pair *p, const char *from, const char *to,
			 struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		const struct special *s = &specials[i];
		unsigned bits = s->bits < p->bits ? s->bits : p->bits;
		bool is_from, is_to;

		if (s->family != p->family)
			continue;
		is_from = has_bits(p->from, s->prefix, bits);
		is_to = has_bits(p->to, s->prefix, bits);
		if (!is_from && !is_to)
			continue;
		if (s->is_open && is_from && is_to && bits == s->bits)
			continue;
		return err_set(e, ERR_USAGE, "%s cannot be mapped to %s: %s", from, to, s->what);
	}
	return 0;
}

static int parse_side(const char *text, uint8_t addr[16], size_t *len, unsigned *bits,
		      struct err *e)
{
	if (inet_prefix_parse(text, 0, addr, len, bits, e)) {
		e->code = ERR_USAGE;
		return err_wrap(e, "expected a prefix, as in 10.0.0.0/24 or fd00::/64");
	}
	if (!inet_prefix_is_clean(addr, *len, *bits))
		return err_set(e, ERR_USAGE, "%s has bits beyond its length %u", text, *bits);
	return 0;
}

static int check_new(const struct remap *m, const struct remap_pair *p, const char *from,
		     const char *to, struct err *e)
{
	if (check_special(p, from, to, e))
		return -1;
	if (!memcmp(p->from, p->to, 16))
		return err_set(e, ERR_USAGE, "%s is mapped to itself", from);
	for (size_t i = 0; i < m->n; i++)
		if (m->pair[i].bits == p->bits && overlap(&m->pair[i], m->pair[i].from, p, p->from))
			return err_set(e, ERR_USAGE, "%s is mapped twice", from);
	return 0;
}

static int by_bits(const void *x, const void *y)
{
	const struct remap_pair *a = x, *b = y;

	return (a->bits < b->bits) - (a->bits > b->bits);
}

int remap_add(struct remap *m, const char *from, const char *to, struct err *e)
{
	struct remap_pair p = {0};
	size_t len, to_len;
	unsigned to_bits;

	if (parse_side(from, p.from, &len, &p.bits, e) ||
	    parse_side(to, p.to, &to_len, &to_bits, e))
		return -1;
	if (len != to_len)
		return err_set(e, ERR_USAGE, "%s and %s are of different families", from, to);
	if (p.bits != to_bits)
		return err_set(e, ERR_USAGE,
			       "%s and %s have different lengths: both need the same /LEN", from,
			       to);
	p.family = inet_family_of_len(len);
	if (check_new(m, &p, from, to, e))
		return -1;
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 8;
		struct remap_pair *bigger = reallocarray(m->pair, cap, sizeof(*bigger));

		if (!bigger)
			return err_set(e, ERR_NOMEM, "out of memory");
		m->pair = bigger;
		m->cap = cap;
	}
	m->pair[m->n++] = p;
	qsort(m->pair, m->n, sizeof(p), by_bits);
	return 0;
}

void remap_free(struct remap *m)
{
	free(m->pair);
	*m = (struct remap){0};
}

void remap_pair_text(const struct remap_pair *p, bool is_to, char text[INET_PREFIX_MAX])
{
	inet_prefix_format(is_to ? p->to : p->from, inet_addr_len(p->family), p->bits, text);
}

/* ---- two addresses become one ---- */

/* Does some more special pair than p take all of its target prefix x/bits away from p? Where not in one
 * piece, in two halves. */
static bool is_hole(const struct remap *m, const struct remap_pair *const of[2], const uint8_t *x,
		    unsigned bits)
{
	uint8_t half[16], origin[16];
	bool has_smaller = false;

	for (size_t k = 0; k < 2; k++) {
		/* what would become x by this pair */
		memcpy(origin, x, 16);
		put_bits(origin, of[k]->from, of[k]->bits);
		for (size_t i = 0; i < m->n; i++) {
			const struct remap_pair *p = &m->pair[i];

			if (p->family != of[k]->family || p->bits <= of[k]->bits)
				continue;
			if (p->bits <= bits ? has_bits(origin, p->from, p->bits) : false)
				return true;
			has_smaller |= p->bits > bits && has_bits(p->from, origin, bits);
		}
	}
	if (!has_smaller || bits >= (of[0]->family == AF_INET ? 32 : 128))
		return false;
	memcpy(half, x, 16);
	half[bits / 8] |= (uint8_t)(0x80 >> (bits % 8));
	return is_hole(m, of, x, bits + 1) && is_hole(m, of, half, bits + 1);
}

int remap_check(const struct remap *m, struct err *e)
{
	char from[2][INET_PREFIX_MAX], to[2][INET_PREFIX_MAX];

	for (size_t i = 0; i < m->n; i++) {
		for (size_t j = 0; j < i; j++) {
			/* j is as long as i or longer, so what both reach is the target of j */
			const struct remap_pair *of[2] = {&m->pair[j], &m->pair[i]};

			if (!overlap(of[0], of[0]->to, of[1], of[1]->to) ||
			    is_hole(m, of, of[0]->to, of[0]->bits))
				continue;
			for (size_t k = 0; k < 2; k++) {
				remap_pair_text(of[k], false, from[k]);
				remap_pair_text(of[k], true, to[k]);
			}
			return err_set(e, ERR_USAGE,
				       "two addresses would become one: %s goes to %s, and %s to "
				       "%s",
				       from[0], to[0], from[1], to[1]);
		}
	}
	return 0;
}

/* ---- addresses as text ---- */

static bool parse_one(const char *text, size_t n, int family, uint8_t addr[16], size_t *len)
{
	struct err ignored = ERR_INIT;
	char copy[INET_TEXT_MAX];

	if (!n || n >= sizeof(copy))
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	return !inet_parse(copy, family, addr, len, &ignored);
}

static bool parse_length(const char *text, size_t n, unsigned max, unsigned *bits)
{
	unsigned v = 0;

	if (!n || n > 3 || (n > 1 && *text == '0'))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (unsigned)(text[i] - '0');
	}
	*bits = v;
	return v <= max;
}

/* A length written as a netmask: 255.255.255.0 is 24. */
static bool parse_mask(const char *text, size_t n, int family, unsigned *bits)
{
	uint8_t mask[16] = {0}, ones[16];
	size_t len;
	unsigned v = 0;

	if (!parse_one(text, n, family, mask, &len))
		return false;
	while (v < len * 8 && mask[v / 8] & 0x80 >> v % 8)
		v++;
	memset(ones, 0, sizeof(ones));
	for (unsigned i = 0; i < v; i++)
		ones[i / 8] |= (uint8_t)(0x80 >> i % 8);
	*bits = v;
	return !memcmp(mask, ones, len);
}

bool remap_parse(const char *text, size_t n, struct remap_addr *a)
{
	const char *slash = memchr(text, '/', n), *dash = memchr(text, '-', n);
	const char *mid = slash ? slash : dash;
	size_t head = mid ? (size_t)(mid - text) : n, tail = mid ? n - head - 1 : 0;
	size_t last_len;

	*a = (struct remap_addr){0};
	/* cheap: most text is no address */
	if (!n || (!memchr(text, '.', n) && !memchr(text, ':', n)) ||
	    !parse_one(text, head, 0, a->first, &a->len))
		return false;
	a->family = inet_family_of_len(a->len);
	a->bits = (unsigned)a->len * 8;
	memcpy(a->last, a->first, 16);
	if (slash) {
		a->has_bits = true;
		return parse_length(mid + 1, tail, a->bits, &a->bits) ||
		       parse_mask(mid + 1, tail, a->family, &a->bits);
	}
	return !dash || (parse_one(mid + 1, tail, a->family, a->last, &last_len) &&
			 memcmp(a->first, a->last, a->len) <= 0);
}

int remap_format(const struct remap_addr *a, struct buf *out, struct err *e)
{
	char text[INET_TEXT_MAX];

	inet_format(a->first, a->len, text);
	if (buf_add_str(out, text, e))
		return -1;
	if (a->has_bits)
		return buf_printf(out, e, "/%u", a->bits);
	if (!memcmp(a->first, a->last, a->len))
		return 0;
	inet_format(a->last, a->len, text);
	return buf_printf(out, e, "-%s", text);
}

/* ---- mapping ---- */

size_t remap_offset(const struct remap_addr *a)
{
	static const uint8_t head[12] = {[10] = 0xff, [11] = 0xff};

	bool is_v4 = a->len == 16 && a->bits >= 96 && !memcmp(a->first, head, 12) &&
		     !memcmp(a->last, head, 12);

	return is_v4 ? 12 : 0;
}

static bool moves_alike(const struct remap_pair *a, const struct remap_pair *b)
{
	uint8_t moved[16];

	memcpy(moved, b->from, 16);
	put_bits(moved, a->to, a->bits);
	return has_bits(moved, b->to, b->bits);
}

static bool touches(const struct remap_pair *p, const uint8_t *first, const uint8_t *last)
{
	size_t len = inet_addr_len(p->family);
	uint8_t begin[16], end[16];

	inet_prefix_ends(p->from, len, p->bits, begin, end);
	return memcmp(begin, last, len) <= 0 && memcmp(end, first, len) >= 0;
}

/* The pair that moves all from first to last, in *why; or what stands against it. */
static enum remap_result find(const struct remap *m, int family, const uint8_t *first,
			      const uint8_t *last, const struct remap_pair **why)
{
	const struct remap_pair *p = NULL;
	size_t n;

	for (n = 0; n < m->n && !p; n++)
		if (m->pair[n].family == family &&
		    has_bits(first, m->pair[n].from, m->pair[n].bits) &&
		    has_bits(last, m->pair[n].from, m->pair[n].bits))
			p = &m->pair[n];
	*why = p;
	/* longer prefixes inside */
	for (size_t i = 0; i < n; i++) {
		const struct remap_pair *part = &m->pair[i];

		if (part == p || part->family != family || !touches(part, first, last) ||
		    (p && moves_alike(p, part)))
			continue;
		*why = part;
		return p ? REMAP_APART : REMAP_WIDER;
	}
	return p ? REMAP_DONE : REMAP_NONE;
}

enum remap_result remap_map(const struct remap *m, struct remap_addr *a,
			    const struct remap_pair **why)
{
	size_t skip = remap_offset(a);
	int family = skip ? AF_INET : a->family;
	const struct remap_pair *p;
	uint8_t begin[16], end[16];
	enum remap_result r;

	/* everything is no place */
	if (a->bits <= skip * 8)
		return REMAP_NONE;
	memcpy(begin, a->first + skip, a->len - skip);
	memcpy(end, a->last + skip, a->len - skip);
	if (a->has_bits && inet_prefix_is_clean(a->first, a->len, a->bits))
		inet_prefix_ends(a->first + skip, a->len - skip, a->bits - (unsigned)skip * 8,
				 begin, end);
	r = find(m, family, begin, end, &p);
	if (why)
		*why = p;
	if (r == REMAP_DONE) {
		put_bits(a->first + skip, p->to, p->bits);
		put_bits(a->last + skip, p->to, p->bits);
	}
	return r;
}

bool remap_is_target(const struct remap *m, const struct remap_addr *a)
{
	size_t skip = remap_offset(a);
	int family = skip ? AF_INET : a->family;

	for (size_t i = 0; i < m->n; i++)
		if (m->pair[i].family == family &&
		    m->pair[i].bits <= a->bits - (unsigned)skip * 8 &&
		    has_bits(a->first + skip, m->pair[i].to, m->pair[i].bits))
			return true;
	return false;
}

void remap_reason(enum remap_result r, const struct remap_pair *why, char *text, size_t size)
{
	char from[INET_PREFIX_MAX];

	remap_pair_text(why, false, from);
	snprintf(text, size,
		 r == REMAP_APART ? "its parts go to different places (%s)" : "reaches beyond %s",
		 from);
}
