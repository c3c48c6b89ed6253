/* SQL functions that saved queries of osquery use (osquery.io, "SQL introduction"), with the same names, arguments and
 * answers, so that such a query runs unchanged on the views of osquery's shape. Nothing in the schema uses them.
 *
 * Patterns are extended regular expressions of POSIX; \d and \D, which those lack, are taken as well. */
#include <arpa/inet.h>
#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/hex.h"
#include "imgdb/db_sqlite.h"
#include "proto/inet.h"

#define FLAGS (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS)

static const char *text_of(sqlite3_value *v)
{
	const char *text = (const char *)sqlite3_value_text(v);

	return text ? text : "";
}

static bool has_null(int n, sqlite3_value **args)
{
	for (int i = 0; i < n; i++)
		if (sqlite3_value_type(args[i]) == SQLITE_NULL)
			return true;
	return false;
}

static void result_buf(sqlite3_context *ctx, const struct buf *b, int failed)
{
	if (failed)
		sqlite3_result_error_nomem(ctx);
	else
		sqlite3_result_text(ctx, b->len ? (const char *)b->data : "", (int)b->len,
				    SQLITE_TRANSIENT);
}

/* concat(a, ...), and with user data concat_ws(separator, a, ...): NULLs are passed over. */
static void concat(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct err ignored = ERR_INIT;
	auto_buf struct buf out = {0};
	const int first = sqlite3_user_data(ctx) ? 1 : 0;
	bool any = false;
	int rc = 0;

	if (n <= first) {
		sqlite3_result_error(ctx, "too few arguments", -1);
		return;
	}
	for (int i = first; i < n && !rc; i++) {
		if (sqlite3_value_type(args[i]) == SQLITE_NULL)
			continue;
		rc = (first && any && buf_add_str(&out, text_of(args[0]), &ignored)) ||
		     buf_add_str(&out, text_of(args[i]), &ignored);
		any = true;
	}
	result_buf(ctx, &out, rc);
}

/* split(text, characters, number): the pieces between any of the characters, those that are empty left out. */
static void split(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	const char *at = text_of(args[0]), *ends = text_of(args[1]);
	sqlite3_int64 want = sqlite3_value_int64(args[2]);

	if (has_null(n, args))
		return;
	if (!*ends) {
		sqlite3_result_error(ctx, "split(): by which characters?", -1);
		return;
	}
	for (at += strspn(at, ends); *at && want >= 0; want--) {
		size_t len = strcspn(at, ends);

		if (!want)
			sqlite3_result_text(ctx, at, (int)len, SQLITE_TRANSIENT);
		at += len;
		at += strspn(at, ends);
	}
}

/* ---- patterns ---- */

static void pattern_free(void *p)
{
	regfree(p);
	free(p);
}

/* \d is a class of its own outside brackets, and a part of one inside. */
static int pattern_translate(const char *s, struct buf *out, struct err *e)
{
	bool in_class = false;

	for (; *s; s++) {
		if (*s == '\\' && (s[1] == 'd' || (s[1] == 'D' && !in_class))) {
			if (buf_add_str(out,
					in_class      ? "0-9"
					: s[1] == 'd' ? "[0-9]"
						      : "[^0-9]",
					e))
				return -1;
			s++;
			continue;
		}
		if (*s == '\\' && s[1] && !in_class) {
			if (buf_add(out, s++, 2, e))
				return -1;
			continue;
		}
		if (*s == '[' && !in_class) {
			in_class = true;
			/* "]" as the first of a class is one of its characters */
			if (buf_add(out, s, 1, e) || (s[1] == '^' && buf_add(out, ++s, 1, e)) ||
			    (s[1] == ']' && buf_add(out, ++s, 1, e)))
				return -1;
			continue;
		}
		in_class = in_class && *s != ']';
		if (buf_add(out, s, 1, e))
			return -1;
	}
	return 0;
}

/* The pattern of argument i, compiled once where it is the same for every row; NULL: an error was given. *mine: the
 * caller frees it. */
static regex_t *pattern_arg(sqlite3_context *ctx, sqlite3_value **args, int i, regex_t **mine)
{
	regex_t *known = sqlite3_get_auxdata(ctx, i), *re;
	struct err ignored = ERR_INIT;
	auto_buf struct buf text = {0};
	char why[128], msg[300];
	int rc;

	*mine = NULL;
	if (known)
		return known;
	re = calloc(1, sizeof(*re));
	if (!re || pattern_translate(text_of(args[i]), &text, &ignored)) {
		free(re);
		sqlite3_result_error_nomem(ctx);
		return NULL;
	}
	rc = regcomp(re, text.len ? (const char *)text.data : "", REG_EXTENDED);
	if (rc) {
		regerror(rc, re, why, sizeof(why));
		free(re);
		snprintf(msg, sizeof(msg), "'%.100s' is no pattern: %s", text_of(args[i]), why);
		sqlite3_result_error(ctx, msg, -1);
		return NULL;
	}
	*mine = re;
	return re;
}

/* Kept for the next row; SQLite may free it at once, so nothing uses it after this. */
static void pattern_keep(sqlite3_context *ctx, int i, regex_t *mine)
{
	if (mine)
		sqlite3_set_auxdata(ctx, i, mine, pattern_free);
}

enum { GROUPS_MAX = 32 };

/* regex_match(text, pattern, group): what the group matched (0: all of it), NULL when nothing did. */
static void regex_match(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	sqlite3_int64 group = sqlite3_value_int64(args[2]);
	regmatch_t m[GROUPS_MAX];
	const char *text = text_of(args[0]);
	regex_t *re, *mine;

	if (has_null(n, args))
		return;
	re = pattern_arg(ctx, args, 1, &mine);
	if (!re)
		return;
	if (group >= 0 && group < GROUPS_MAX && !regexec(re, text, GROUPS_MAX, m, 0) &&
	    m[group].rm_so >= 0)
		sqlite3_result_text(ctx, text + m[group].rm_so,
				    (int)(m[group].rm_eo - m[group].rm_so), SQLITE_TRANSIENT);
	pattern_keep(ctx, 1, mine);
}

/* regex_split(text, pattern, number): the pieces between what the pattern matches. */
static void regex_split(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	sqlite3_int64 want = sqlite3_value_int64(args[2]);
	const char *at = text_of(args[0]);
	regmatch_t m = {0, 0};
	regex_t *re, *mine;
	bool more = true;

	if (has_null(n, args))
		return;
	re = pattern_arg(ctx, args, 1, &mine);
	if (!re)
		return;
	for (; more && want >= 0; want--) {
		size_t len = strlen(at);

		/* a match of nothing parts nothing */
		more = !regexec(re, at, 1, &m, 0) && m.rm_eo > m.rm_so;
		len = more ? (size_t)m.rm_so : len;
		if (!want)
			sqlite3_result_text(ctx, at, (int)len, SQLITE_TRANSIENT);
		at += more ? (size_t)m.rm_eo : len;
	}
	pattern_keep(ctx, 1, mine);
}

/* ---- addresses ---- */

static bool address_of(sqlite3_value *v, int family, uint8_t addr[16], size_t *len)
{
	struct err ignored = ERR_INIT;

	return sqlite3_value_type(v) == SQLITE_TEXT &&
	       !inet_parse(text_of(v), family, addr, len, &ignored);
}

static void inet_aton_sql(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	uint8_t a[16];
	size_t len;

	if (address_of(args[0], AF_INET, a, &len))
		sqlite3_result_int64(ctx,
				     (sqlite3_int64)a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3]);
}

/* in_cidr_block(prefix, address): 0 when either is none. */
static void in_cidr_block(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	uint8_t net[16], addr[16], first[16], last[16];
	struct err ignored = ERR_INIT;
	size_t net_len, len;
	unsigned bits;
	bool is_in = false;

	if (sqlite3_value_type(args[0]) == SQLITE_TEXT && address_of(args[1], 0, addr, &len) &&
	    !inet_prefix_parse(text_of(args[0]), 0, net, &net_len, &bits, &ignored) &&
	    net_len == len) {
		inet_prefix_ends(net, len, bits, first, last);
		is_in = memcmp(addr, first, len) >= 0 && memcmp(addr, last, len) <= 0;
	}
	sqlite3_result_int(ctx, is_in);
}

/* ---- base64 (RFC 4648) and digests ---- */

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_add(const uint8_t *p, size_t n, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < n; i += 3) {
		const size_t have = n - i < 3 ? n - i : 3;
		const uint32_t w = (uint32_t)p[i] << 16 | (have > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
				   (have > 2 ? p[i + 2] : 0);
		const char four[] = {digits64[w >> 18], digits64[w >> 12 & 63],
				     have > 1 ? digits64[w >> 6 & 63] : '=',
				     have > 2 ? digits64[w & 63] : '='};

		if (buf_add(out, four, sizeof(four), e))
			return -1;
	}
	return 0;
}

static void to_base64(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct err ignored = ERR_INIT;
	auto_buf struct buf out = {0};

	if (!has_null(n, args))
		result_buf(ctx, &out,
			   base64_add((const uint8_t *)text_of(args[0]),
				      (size_t)sqlite3_value_bytes(args[0]), &out, &ignored));
}

static void from_base64(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct err ignored = ERR_INIT;
	auto_buf struct buf out = {0};
	uint32_t w = 0;
	unsigned bits = 0;

	if (has_null(n, args))
		return;
	for (const char *s = text_of(args[0]); *s && *s != '='; s++) {
		const char *at = strchr(digits64, *s);

		if (isspace((unsigned char)*s))
			continue;
		if (!at)
			return;
		w = w << 6 | (uint32_t)(at - digits64);
		bits += 6;
		if (bits >= 8) {
			uint8_t byte = (uint8_t)(w >> (bits -= 8));

			if (buf_add(&out, &byte, 1, &ignored)) {
				sqlite3_result_error_nomem(ctx);
				return;
			}
		}
	}
	result_buf(ctx, &out, 0);
}

/* The user data is the name of the digest. */
static void digest(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	uint8_t md[HASH_DIGEST_MAX];
	auto_buf struct buf hex = {0};
	struct err e = ERR_INIT;
	size_t len;

	if (has_null(n, args))
		return;
	if (hash_digest(sqlite3_user_data(ctx), text_of(args[0]),
			(size_t)sqlite3_value_bytes(args[0]), md, &len, &e) ||
	    hex_add(&hex, md, len, &e)) {
		sqlite3_result_error(ctx, e.msg, -1);
		return;
	}
	sqlite3_result_text(ctx, (const char *)hex.data, (int)hex.len, SQLITE_TRANSIENT);
}

/* community_id_v1(source, destination, source port, destination port, protocol [, seed]): the Community ID of a flow
 * (github.com/corelight/community-id-spec): the same for both directions. */
static void community_id(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	uint8_t end[2][18], proto, seed[2], md[HASH_DIGEST_MAX];
	auto_buf struct buf flow = {0}, out = {0};
	struct err e = ERR_INIT;
	size_t len[2], md_len;
	bool swap;

	if (n < 5 || n > 6) {
		sqlite3_result_error(
			ctx, "community_id_v1(SOURCE, DESTINATION, PORT, PORT, PROTOCOL [, SEED])",
			-1);
		return;
	}
	for (int i = 0; i < 2; i++) {
		const uint16_t port = (uint16_t)sqlite3_value_int(args[2 + i]);

		if (!address_of(args[i], 0, end[i], &len[i]))
			return;
		end[i][len[i]] = (uint8_t)(port >> 8);
		end[i][len[i] + 1] = (uint8_t)port;
	}
	if (len[0] != len[1])
		return;
	proto = (uint8_t)sqlite3_value_int(args[4]);
	seed[0] = n > 5 ? (uint8_t)(sqlite3_value_int(args[5]) >> 8) : 0;
	seed[1] = n > 5 ? (uint8_t)sqlite3_value_int(args[5]) : 0;
	swap = memcmp(end[0], end[1], len[0] + 2) > 0;
	if (buf_add(&flow, seed, 2, &e) || buf_add(&flow, end[swap], len[0], &e) ||
	    buf_add(&flow, end[!swap], len[0], &e) || buf_add(&flow, &proto, 1, &e) ||
	    buf_add(&flow, "", 1, &e) || buf_add(&flow, end[swap] + len[0], 2, &e) ||
	    buf_add(&flow, end[!swap] + len[0], 2, &e) ||
	    hash_digest("sha1", flow.data, flow.len, md, &md_len, &e) ||
	    buf_add_str(&out, "1:", &e) || base64_add(md, md_len, &out, &e)) {
		sqlite3_result_error(ctx, e.msg, -1);
		return;
	}
	result_buf(ctx, &out, 0);
}

static const struct {
	const char *name;
	int n_args; /* -1: any number */
	const char *data;
	void (*fn)(sqlite3_context *, int, sqlite3_value **);
} functions[] = {
	{"concat", -1, NULL, concat},
	{"concat_ws", -1, "separator", concat},
	{"split", 3, NULL, split},
	{"regex_split", 3, NULL, regex_split},
	{"regex_match", 3, NULL, regex_match},
	{"inet_aton", 1, NULL, inet_aton_sql},
	{"in_cidr_block", 2, NULL, in_cidr_block},
	{"to_base64", 1, NULL, to_base64},
	{"from_base64", 1, NULL, from_base64},
	{"md5", 1, "md5", digest},
	{"sha1", 1, "sha1", digest},
	{"sha256", 1, "sha256", digest},
	{"community_id_v1", -1, NULL, community_id},
};

int osquery_functions_add(sqlite3 *h)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; i < ARRAY_SIZE(functions) && rc == SQLITE_OK; i++)
		rc = sqlite3_create_function_v2(h, functions[i].name, functions[i].n_args, FLAGS,
						(void *)functions[i].data, functions[i].fn, NULL,
						NULL, NULL);
	return rc;
}
