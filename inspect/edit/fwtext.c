/* nft's syntax: nft(8) and its scanner (identifiers begin with a letter, so none looks like an address; a
 * string has no escapes). iptables-save: iptables-save(8), options: iptables-extensions(8). */
#include "inspect/edit/fwtext.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "base/cleanup.h"

struct edit {
	const char *text;
	size_t n, at; /* at: what is copied or replaced so far */
	fw_word_fn *fn;
	void *arg;
	struct buf *out;
	struct buf word; /* what fn gave */
	bool is_changed;
};

/* ---- what both have ---- */

/* Text takes the place of n bytes from from on. */
static int replace(struct edit *x, size_t from, size_t n, const void *by, size_t len, struct err *e)
{
	if (buf_add(x->out, x->text + x->at, from - x->at, e) || buf_add(x->out, by, len, e))
		return -1;
	x->at = from + n;
	x->is_changed = true;
	return 0;
}

/* Hand a word to the caller. 1: replaced, 0, -1. */
static int edit_word(struct edit *x, enum fw_kind kind, size_t from, size_t n, struct err *e)
{
	int rc;

	buf_reset(&x->word);
	rc = x->fn(x->arg, kind, x->text + from, n, &x->word, e);
	if (rc <= 0)
		return rc;
	return replace(x, from, n, x->word.data, x->word.len, e) ? -1 : 1;
}

static bool is_mac(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (i % 3 == 2 ? s[i] != ':' : !isxdigit((unsigned char)s[i]))
			return false;
	return n == 17;
}

/* Could it be an address: "." or ":" in it, and begins as one. */
static bool is_addresslike(const char *s, size_t n)
{
	return n > 1 && (isxdigit((unsigned char)*s) || *s == ':') &&
	       (memchr(s, '.', n) || memchr(s, ':', n));
}

/* "80", "80-90", "80-90/3" */
static bool is_ports(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)s[i]) && s[i] != '-' && s[i] != '/')
			return false;
	return n > 0;
}

/* A plain word: an address with or without a port, or a MAC. 1: replaced, 0, -1. */
static int edit_value(struct edit *x, size_t from, size_t n, struct err *e)
{
	const char *s = x->text + from, *colon;
	int rc;

	if (is_mac(s, n))
		return edit_word(x, FW_MAC, from, n, e);
	if (!is_addresslike(s, n))
		return 0;
	rc = edit_word(x, FW_ADDRESS, from, n, e);
	colon = memchr(s, ':', n);
	/* of IPv4 what is before the colon; an IPv6 address has two and needs brackets for a port */
	if (rc || !colon || !memchr(s, '.', (size_t)(colon - s)) ||
	    !is_ports(colon + 1, n - (size_t)(colon + 1 - s)))
		return rc;
	return edit_word(x, FW_ADDRESS, from, (size_t)(colon - s), e);
}

/* "[a]-[b]" of n bytes: handed over as "a-b". */
static int edit_bracket_range(struct edit *x, size_t from, size_t n, size_t a, struct err *e)
{
	const char *s = x->text + from, *dash;
	auto_buf struct buf range = {0}, back = {0};
	int rc;

	buf_reset(&x->word);
	if (buf_printf(&range, e, "%.*s-%.*s", (int)a, s + 1, (int)(n - a - 5), s + a + 4))
		return -1;
	rc = x->fn(x->arg, FW_ADDRESS, (const char *)range.data, range.len, &x->word, e);
	if (rc <= 0)
		return rc;
	dash = memchr(x->word.data, '-', x->word.len);
	if (!dash)
		return 0;
	if (buf_printf(&back, e, "[%.*s]-[%s]", (int)(dash - (const char *)x->word.data),
		       (const char *)x->word.data, dash + 1))
		return -1;
	return replace(x, from, n, back.data, back.len, e) ? -1 : 1;
}

/* "[a]", "[a-b]" and "[a]-[b]" from the bracket at from on: how long it is; 0: it is none of these. */
static size_t bracket_len(const struct edit *x, size_t from, size_t *a)
{
	const char *s = x->text + from, *end = x->text + x->n;
	const char *one = memchr(s, ']', (size_t)(end - s)), *two = NULL;

	*a = one ? (size_t)(one - s) - 1 : 0;
	if (!one || *a > 100 || !is_addresslike(s + 1, *a))
		return 0;
	if (end - one > 3 && one[1] == '-' && one[2] == '[')
		two = memchr(one + 3, ']', (size_t)(end - one - 3));
	return (size_t)((two && two - one < 100 ? two : one) + 1 - s);
}

static int edit_brackets(struct edit *x, size_t from, size_t *n, struct err *e)
{
	size_t a;
	int rc;

	*n = bracket_len(x, from, &a);
	if (!*n)
		return 0;
	rc = *n == a + 2 ? edit_word(x, FW_ADDRESS, from + 1, a, e)
			 : edit_bracket_range(x, from, *n, a, e);
	return rc < 0 ? -1 : 0;
}

/* The end of an open range (nft's "< a", ">= a") of n bytes: looked at as the range that it means, and mapped only
 * with it. */
static int edit_open_range(struct edit *x, char sign, size_t from, size_t n, struct err *e)
{
	const char *s = x->text + from;
	bool is_v6 = memchr(s, ':', n) != NULL;
	const char *least = is_v6 ? "::" : "0.0.0.0";
	const char *most = is_v6 ? "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" : "255.255.255.255";
	auto_buf struct buf range = {0};
	int rc;

	buf_reset(&x->word);
	rc = sign == '<' ? buf_printf(&range, e, "%s-%.*s", least, (int)n, s)
			 : buf_printf(&range, e, "%.*s-%s", (int)n, s, most);
	if (!rc)
		rc = x->fn(x->arg, FW_ADDRESS, (const char *)range.data, range.len, &x->word, e);
	return rc > 0 ? edit_word(x, FW_ADDRESS, from, n, e) : rc;
}

/* ---- iptables-save ---- */

enum takes { TAKES_VALUE, TAKES_NAME, TAKES_TEXT, TAKES_DEVICE };

/* Options whose words are no addresses. */
static const struct {
	const char *name;
	enum takes takes;
} ipt_options[] = {
	{"-A", TAKES_NAME},
	{"-I", TAKES_NAME},
	{"-N", TAKES_NAME},
	{"-P", TAKES_NAME},
	{"-j", TAKES_NAME},
	{"-g", TAKES_NAME},
	{"-m", TAKES_NAME},
	{"-p", TAKES_NAME},
	{"--jump", TAKES_NAME},
	{"--goto", TAKES_NAME},
	{"--match", TAKES_NAME},
	{"--name", TAKES_NAME},
	{"--hashlimit-name", TAKES_NAME},
	{"--match-set", TAKES_NAME},
	{"--add-set", TAKES_NAME},
	{"--del-set", TAKES_NAME},
	{"--map-set", TAKES_NAME},
	{"--helper", TAKES_NAME},
	{"--timeout", TAKES_NAME},
	{"--path", TAKES_NAME},
	{"--genre", TAKES_NAME},
	{"--selctx", TAKES_NAME},
	{"--comment", TAKES_TEXT},
	{"--log-prefix", TAKES_TEXT},
	{"--nflog-prefix", TAKES_TEXT},
	{"--string", TAKES_TEXT},
	{"--hex-string", TAKES_TEXT},
	{"-i", TAKES_DEVICE},
	{"-o", TAKES_DEVICE},
	{"--in-interface", TAKES_DEVICE},
	{"--out-interface", TAKES_DEVICE},
	{"--physdev-in", TAKES_DEVICE},
	{"--physdev-out", TAKES_DEVICE},
	{"--oif", TAKES_DEVICE},
};

static enum takes ipt_takes(const char *s, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(ipt_options); i++)
		if (strlen(ipt_options[i].name) == n && !memcmp(ipt_options[i].name, s, n))
			return ipt_options[i].takes;
	return TAKES_VALUE;
}

/* The length of the word at s: up to a blank; in quotes, to the closing one. */
static size_t ipt_word(const char *s, size_t n)
{
	size_t at = 1;

	if (*s != '"') {
		while (at < n && !isspace((unsigned char)s[at]))
			at++;
		return at;
	}
	while (at < n && s[at] != '"')
		at += s[at] == '\\' && at + 1 < n ? 2 : 1;
	return at < n ? at + 1 : n;
}

static int ipt_argument(struct edit *x, enum takes takes, size_t from, size_t n, struct err *e)
{
	const char *s = x->text + from;
	size_t in_brackets = 0;

	if (*s == '"' && n >= 2 && s[n - 1] == '"') {
		from++;
		n -= 2;
	}
	switch (takes) {
	case TAKES_NAME:
		return 0;
	case TAKES_TEXT:
		return edit_word(x, FW_COMMENT, from, n, e);
	case TAKES_DEVICE:
		return edit_word(x, n && x->text[from + n - 1] == '+' ? FW_PATTERN : FW_DEVICE,
				 from, n, e);
	case TAKES_VALUE:
		break;
	}
	if (*s == '[' && edit_brackets(x, from, &in_brackets, e))
		return -1;
	return in_brackets ? 0 : edit_value(x, from, n, e);
}

static int ipt_line(struct edit *x, size_t from, size_t n, struct err *e)
{
	enum takes takes = TAKES_VALUE;
	size_t at = 0;

	if (n && x->text[from] == '#')
		return edit_word(x, FW_COMMENT, from + 1, n - 1, e);
	/* "*table", ":CHAIN policy", "COMMIT" */
	if (!n || (x->text[from] != '-' && x->text[from] != '['))
		return 0;
	while (at < n) {
		const char *s = x->text + from + at;
		size_t len;

		if (isspace((unsigned char)*s)) {
			at++;
			continue;
		}
		len = ipt_word(s, n - at);
		if (*s == '-' && len > 1 && !isdigit((unsigned char)s[1]))
			takes = ipt_takes(s, len);
		else if (*s != '!' && ipt_argument(x, takes, from + at, len, e) < 0)
			return -1;
		at += len;
	}
	return 0;
}

static int ipt_edit(struct edit *x, struct err *e)
{
	size_t at = 0;

	while (at < x->n) {
		const char *newline = memchr(x->text + at, '\n', x->n - at);
		size_t len = newline ? (size_t)(newline - x->text) - at : x->n - at;

		if (ipt_line(x, at, len, e) < 0)
			return -1;
		at += len + 1;
	}
	return 0;
}

/* ---- nft ---- */

/* Where the scanner stands. */
struct nft {
	struct edit *x;
	char prev; /* kind of the last token: 's' selector, 'w' word, '"' string, or the sign */
	char open; /* '<' or '>' when an operator with it stands before, else 0 */
	bool is_user_text;      /* the last word was "comment" or "prefix" */
	bool is_typeof;         /* in the statement that says what a set holds */
	bool wants_device;      /* a selector of devices stands before */
	unsigned depth;         /* braces since then */
	unsigned level;         /* braces in all */
	unsigned devices_level; /* braces around a set of names of devices; 0: none is open */
};

/* Words after which the names of devices come: at once, through operators, in braces, concatenated. */
static const char *const selectors[] = {"iif",     "oif",      "iifname",  "oifname", "ibrname",
					"obrname", "ibriport", "obriport", "sdif",    "sdifname",
					"device",  "devices",  "fwd",      "dup",     NULL};
static const char *const operators[] = {"eq", "ne", "vmap", "map", "to", "ip", "ip6", NULL};
static const char *const device_types[] = {"ifname", "iface_index", NULL};
static const char *const user_texts[] = {"comment", "prefix", NULL};

static bool is_one_of(const char *word, size_t n, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == n && !memcmp(word, *words, n))
			return true;
	return false;
}

static bool is_word_byte(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_.:/*\\-", c));
}

static int nft_device(struct nft *s, size_t from, size_t n, size_t next, struct err *e)
{
	const struct edit *x = s->x;
	bool is_pattern = n && x->text[from + n - 1] == '*';

	/* the value of the selector, unless a concatenation goes on */
	while (next < x->n && x->text[next] == ' ')
		next++;
	if (!s->depth && !(next < x->n && x->text[next] == '.'))
		s->wants_device = false;
	return edit_word(s->x, is_pattern ? FW_PATTERN : FW_DEVICE, from, n, e);
}

static int nft_string(struct nft *s, size_t from, size_t n, struct err *e)
{
	if (s->is_user_text)
		return edit_word(s->x, FW_COMMENT, from, n, e);
	if (s->wants_device || s->devices_level)
		return nft_device(s, from, n, from + n + 1, e);
	return 0;
}

/* The word is a name of a device without quotes, as in "devices = { eth0, eth1 }". */
static bool is_bare_device(const struct nft *s, const char *word, size_t n)
{
	return s->wants_device && strchr("s={,", s->prev) && !is_one_of(word, n, operators);
}

static int nft_word(struct nft *s, size_t from, size_t n, struct err *e)
{
	const char *word = s->x->text + from;
	char open = s->open;
	int rc = 0;

	s->open = 0;
	s->is_user_text = is_one_of(word, n, user_texts);
	if (is_one_of(word, n, selectors)) {
		if (s->is_typeof) {
			s->devices_level = s->level;
		} else {
			s->wants_device = true;
			s->depth = 0;
		}
		s->prev = 's';
		return 0;
	}
	s->is_typeof |= is_one_of(word, n, (const char *const[]){"typeof", NULL});
	if (is_one_of(word, n, device_types))
		s->devices_level = s->level;
	if (is_bare_device(s, word, n))
		rc = nft_device(s, from, n, from + n, e);
	s->prev = 'w';
	if (!rc && open && is_addresslike(word, n))
		return edit_open_range(s->x, open, from, n, e);
	return rc ? rc : edit_value(s->x, from, n, e);
}

static void nft_sign(struct nft *s, char c)
{
	s->is_user_text = false;
	s->prev = c;
	if (c != '=')
		s->open = c == '<' || c == '>' ? c : 0;
	switch (c) {
	case '{':
		s->level++;
		s->depth += s->wants_device;
		break;
	case '}':
		s->level -= s->level > 0;
		if (s->level < s->devices_level)
			s->devices_level = 0;
		if (s->wants_device && s->depth <= 1)
			s->wants_device = false;
		s->depth -= s->depth > 0;
		break;
	case ';':
	case '\n':
		s->is_typeof = false;
		if (!s->depth)
			s->wants_device = false;
		break;
	case '@':
		if (!s->depth)
			s->wants_device = false;
		break;
	}
}

/* The length of the token at at; -1: error. */
static ssize_t nft_token(struct nft *s, size_t at, struct err *e)
{
	struct edit *x = s->x;
	char c = x->text[at];
	size_t n = 1;
	int rc = 0;

	if (c == '"' || c == '#') {
		const char *end = memchr(x->text + at + 1, c == '#' ? '\n' : '"', x->n - at - 1);

		n = end ? (size_t)(end - x->text) - at : x->n - at;
		rc = c == '#' ? edit_word(x, FW_COMMENT, at + 1, n - 1, e)
			      : nft_string(s, at + 1, n - 1, e);
		if (c == '"') {
			s->is_user_text = false;
			s->prev = c;
			n += end != NULL;
		}
	} else if (is_word_byte(c) && !(c == '.' && at + 1 < x->n && x->text[at + 1] == ' ')) {
		while (at + n < x->n && is_word_byte(x->text[at + n]))
			n++;
		/* "@set" and "$variable" are names */
		if (s->prev == '@' || s->prev == '$')
			s->prev = 'w';
		else
			rc = nft_word(s, at, n, e);
	} else if (c == '[') {
		rc = edit_brackets(x, at, &n, e);
		n += !n;
	} else if (c != ' ' && c != '\t' && c != '\r') {
		nft_sign(s, c);
	}
	return rc < 0 ? -1 : (ssize_t)n;
}

static int nft_edit(struct edit *x, struct err *e)
{
	struct nft s = {.x = x, .prev = ';'};
	size_t at = 0;

	while (at < x->n) {
		ssize_t n = nft_token(&s, at, e);

		if (n < 0)
			return -1;
		at += (size_t)n;
	}
	return 0;
}

int fwtext_edit(const char *format, const char *text, size_t n, fw_word_fn *fn, void *arg,
		struct buf *out, struct err *e)
{
	struct edit x = {.text = text, .n = n, .fn = fn, .arg = arg, .out = out};
	size_t start = out->len;
	int rc;

	rc = !strcmp(format, "nftables") ? nft_edit(&x, e) : ipt_edit(&x, e);
	if (!rc)
		rc = buf_add(out, text + x.at, n - x.at, e);
	buf_free(&x.word);
	if (rc) {
		out->len = start;
		return -1;
	}
	return x.is_changed;
}
