/* readdress.c: every address of an image mapped. */
#include "inspect/edit/readdress.h"

#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "inspect/edit/fwsets.h"
#include "inspect/edit/fwtext.h"
#include "inspect/edit/jsontext.h"
#include "inspect/edit/places.h"
#include "inspect/edit/rawbytes.h"

enum {
	LEFT_MAX = 20, /* rows of a table that are named one by one; more are counted */
};

/* An address that stays and that others are mapped to. */
struct stay {
	int64_t netns;
	uint8_t addr[16];
	uint8_t len, bits, is_text; /* is_text: in a ruleset; what is there only meets its like */
};

struct readdress {
	struct edit *x;
	const struct readdress_opts *o;
	struct place_scope scope;
	struct edit_labels *labels;
	bool is_scan; /* look for collisions, change nothing */
	size_t n_found;
	struct stay *stay;
	size_t n_stay, cap_stay;
	struct moves moves, whole;
	struct apart apart;
	size_t n_left[64]; /* by table */
	size_t n_outside;
	struct query *peer; /* owned: is an address one of the image */
	/* where we are */
	const struct place_row *row;
	unsigned place;
	const char *format; /* of the ruleset */
	bool is_config;     /* in text of an engine that is its configuration */
	bool is_quiet;      /* what is left here goes without saying */
	struct buf raw;     /* memory of raw_address */
};

/* ---- what is left ---- */

static int row_label(struct readdress *r, struct buf *label, struct err *e)
{
	const char *table = r->row->t->table;

	if (!r->labels && !(r->labels = edit_labels_new(edit_db(r->x), 0, e)))
		return -1;
	return edit_label(r->labels, table, r->row->key, NULL, label, e);
}

static int left(struct readdress *r, const char *text, size_t n, const char *reason, struct err *e)
{
	auto_buf struct buf label = {0};
	size_t *count = &r->n_left[r->row->t - place_tables];

	if (r->is_quiet || ++*count > LEFT_MAX)
		return 0;
	if (row_label(r, &label, e))
		return -1;
	return edit_left(r->x, e, (const char *)label.data, "%s %.*s: %s",
			 r->row->t->place[r->place].column, (int)(n < 100 ? n : 100), text, reason);
}

static int count_left(struct readdress *r, struct err *e)
{
	for (size_t i = 0; place_tables[i].table; i++)
		if (r->n_left[i] > LEFT_MAX &&
		    edit_left(r->x, e, place_tables[i].table, "%zu more, for such reasons",
			      r->n_left[i] - LEFT_MAX))
			return -1;
	if (r->n_outside &&
	    edit_left(r->x, e, "peers",
		      "%zu connected TCP sockets have their other end outside of the "
		      "image: it must get the new address, too",
		      r->n_outside))
		return -1;
	return 0;
}

/* ---- collisions ---- */

static int by_stay(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct stay));
}

static struct stay make_stay(const struct readdress *r, const struct remap_addr *a)
{
	struct stay s;
	size_t skip = remap_offset(a);
	bool is_net = a->has_bits && inet_prefix_is_clean(a->first, a->len, a->bits);

	memset(&s, 0, sizeof(s));
	s.netns = r->row->netns;
	s.len = (uint8_t)(a->len - skip);
	s.bits = (uint8_t)((is_net ? a->bits : a->len * 8) - skip * 8);
	s.is_text = r->format != NULL;
	/* networks only meet networks of the same table */
	if (s.bits < s.len * 8)
		s.is_text = (uint8_t)(1 + (r->row->t - place_tables));
	memcpy(s.addr, a->first + skip, s.len);
	return s;
}

static void unify(struct readdress *r)
{
	size_t n = 0;

	if (r->n_stay)
		qsort(r->stay, r->n_stay, sizeof(*r->stay), by_stay);
	for (size_t i = 0; i < r->n_stay; i++)
		if (!n || by_stay(&r->stay[n - 1], &r->stay[i]) != 0)
			r->stay[n++] = r->stay[i];
	r->n_stay = n;
}

static int stay_add(struct readdress *r, const struct remap_addr *a, struct err *e)
{
	if (r->n_stay == r->cap_stay) {
		/* most are the same few */
		unify(r);
		if (r->n_stay >= r->cap_stay / 2) {
			size_t cap = r->cap_stay ? r->cap_stay * 2 : 256;
			struct stay *bigger = reallocarray(r->stay, cap, sizeof(*bigger));

			if (!bigger)
				return err_set(e, ERR_NOMEM, "out of memory");
			r->stay = bigger;
			r->cap_stay = cap;
		}
	}
	r->stay[r->n_stay++] = make_stay(r, a);
	return 0;
}

static int check_free(struct readdress *r, const char *was, size_t n, const struct remap_addr *a,
		      struct err *e)
{
	struct stay key = make_stay(r, a);
	auto_buf struct buf text = {0}, label = {0};

	if (r->o->merge || !r->n_stay || !bsearch(&key, r->stay, r->n_stay, sizeof(key), by_stay))
		return 0;
	if (remap_format(a, &text, e) || row_label(r, &label, e))
		return -1;
	return err_set(e, ERR_CONFLICT,
		       "%s: %.*s would become %s, which the namespace has already and which stays "
		       "(map it away too, or --merge lets the two become one)",
		       (const char *)label.data, (int)n, was, (const char *)text.data);
}

/* ---- one address ---- */

/* An iptables mask that is no length, or text of no such kind. */
static int odd_mask(struct readdress *r, const char *text, size_t n, struct err *e)
{
	const char *slash = memchr(text, '/', n);
	struct remap_addr a;

	if (!slash || r->is_scan || !remap_parse(text, (size_t)(slash - text), &a) ||
	    remap_map(r->o->map, &a, NULL) != REMAP_DONE)
		return 0;
	return left(r, text, n, "its mask is no length of a prefix", e);
}

static int map_text(struct readdress *r, const char *text, size_t n, struct buf *out, struct err *e)
{
	const struct remap_pair *why;
	enum remap_result res;
	struct remap_addr a;
	char reason[100];

	if (!remap_parse(text, n, &a))
		return odd_mask(r, text, n, e);
	res = remap_map(r->o->map, &a, &why);
	r->n_found += res == REMAP_DONE;
	if (r->is_scan)
		return res == REMAP_NONE && remap_is_target(r->o->map, &a) ? stay_add(r, &a, e) : 0;
	switch (res) {
	case REMAP_NONE:
		return 0;
	case REMAP_DONE:
		if (r->is_config)
			return left(r, text, n, "part of the configuration of the container", e);
		return check_free(r, text, n, &a, e) || remap_format(&a, out, e) ? -1 : 1;
	default:
		remap_reason(res, why, reason, sizeof(reason));
		return left(r, text, n, reason, e);
	}
}

/* ---- bytes that may be an address ---- */

/* Bytes of which it is not known that they are an address, and which a pair would be about if they were. */
static int look_at_bytes(struct readdress *r, const char *word, size_t n, const uint8_t *address,
			 size_t len, unsigned bits, struct err *e)
{
	char text[INET_PREFIX_MAX], reason[INET_PREFIX_MAX + 80];
	struct remap_addr a;

	inet_prefix_format(address, len, bits, text);
	if (!remap_parse(text, strlen(text), &a) || remap_map(r->o->map, &a, NULL) == REMAP_NONE)
		return 0;
	snprintf(reason, sizeof(reason), "it looks for bytes that may be %s", text);
	return left(r, word, n, reason, e);
}

/* ---- rulesets ---- */

/* A comment is the user's. It is said that it has an address, once. */
static int comment(struct readdress *r, const char *text, size_t n, struct err *e)
{
	struct remap_addr a;

	for (size_t at = 0; at < n && !r->is_scan; at++) {
		size_t len = 0;

		while (at + len < n && strchr("0123456789abcdefABCDEF.:/-", text[at + len]))
			len++;
		if (len && remap_parse(text + at, len, &a) &&
		    remap_map(r->o->map, &a, NULL) == REMAP_DONE)
			return left(r, text, n, "an address inside a comment or other text", e);
		at += len;
	}
	return 0;
}

static int ruleset_word(void *arg, enum fw_kind kind, const char *word, size_t n, struct buf *out,
			struct err *e)
{
	struct readdress *r = arg;

	if (kind == FW_ADDRESS)
		return map_text(r, word, n, out, e);
	return kind == FW_COMMENT ? comment(r, word, n, e) : 0;
}

/* nft refuses a set whose elements overlap, as far as it did not before. */
static int check_sets(struct readdress *r, struct span was, const struct buf *is, struct err *e)
{
	auto_buf struct buf before = {0}, pair = {0}, label = {0};
	int rc = r->o->merge ? 0 : fwsets_overlap((const char *)is->data, is->len, &pair, e);

	if (rc <= 0)
		return rc;
	rc = fwsets_overlap((const char *)was.data, was.len, &before, e);
	if (rc || row_label(r, &label, e))
		return rc < 0 || !rc ? -1 : 0;
	return err_set(
		e, ERR_CONFLICT,
		"%s: of one set %s would overlap, which nft refuses (map the other away too; "
		"--merge does it all the same)",
		(const char *)label.data, (const char *)pair.data);
}

/* Raw expressions say where in a packet they look, not what is there. */
static int raw_word(void *arg, const char *word, size_t n, uint8_t *address, size_t len,
		    unsigned bits, struct err *e)
{
	return len == 6 ? 0 : look_at_bytes(arg, word, n, address, len, bits, e);
}

static int map_ruleset(struct readdress *r, struct span text, struct buf *out, struct err *e)
{
	int rc;

	r->format = query_text(r->row->q, 2 + (int)r->row->n_places);
	if (!r->is_scan &&
	    raw_ruleset(r->format, (const char *)text.data, text.len, raw_word, r, e))
		return -1;
	rc = fwtext_edit(r->format, (const char *)text.data, text.len, ruleset_word, r, out, e);
	if (rc == 1 && !r->is_scan && !strcmp(r->format, "nftables") && check_sets(r, text, out, e))
		rc = -1;
	r->format = NULL;
	return rc;
}

/* ---- JSON ---- */

/* An address in bytes (raw_fn). */
static int raw_address(void *arg, uint8_t *address, size_t len, unsigned bits, bool is_sure,
		       struct err *e)
{
	struct readdress *r = arg;
	char text[INET_PREFIX_MAX];
	struct remap_addr a;
	int rc;

	if (len == 6)
		return 0;
	if (!is_sure)
		return r->is_scan ? 0 : look_at_bytes(r, "", 0, address, len, bits, e);
	inet_prefix_format(address, len, bits, text);
	buf_reset(&r->raw);
	rc = map_text(r, text, strlen(text), &r->raw, e);
	if (rc > 0 && remap_parse((const char *)r->raw.data, r->raw.len, &a))
		memcpy(address, a.first, len);
	return rc;
}

/* An option or attribute that is there several times has "#2" behind its name. */
static bool is_key(struct span key, const char *const *names)
{
	const uint8_t *number = memchr(key.data, '#', key.len);
	const size_t len = number ? (size_t)(number - key.data) : key.len;

	for (; *names; names++)
		if (strlen(*names) == len && !memcmp(*names, key.data, len))
			return true;
	return false;
}

/* Members of JSON that are bytes in hex with addresses: of a column, "kind" being that of traffic control. */
static const struct raw_member {
	const char *table, *kind, *key;
	enum raw_kind raw;
} raw_members[] = {
	{"traffic_control", "u32", "tail", RAW_U32},
	{"socket", NULL, "IP_OPTIONS", RAW_IP_OPTIONS},
	{"socket", NULL, "IPV6_RTHDR", RAW_ROUTING_HEADER},
	{"socket", NULL, "TCP_MD5SIG", RAW_SOCKADDR},
	{"socket", NULL, "TCP_MD5SIG_EXT", RAW_SOCKADDR},
};

static const struct raw_member *raw_member_of(const struct place_row *row, struct span key)
{
	const char *kind = query_text(row->q, 2 + (int)row->n_places);

	for (size_t i = 0; i < ARRAY_SIZE(raw_members); i++) {
		const struct raw_member *m = &raw_members[i];

		if (!strcmp(m->table, row->t->table) &&
		    is_key(key, (const char *const[]){m->key, NULL}) &&
		    (!m->kind || (kind && !strcmp(kind, m->kind))))
			return m;
	}
	return NULL;
}

static int json_string(void *arg, struct span key, const char *text, size_t n, struct buf *out,
		       struct err *e)
{
	struct readdress *r = arg;
	const struct raw_member *m = raw_member_of(r->row, key);
	unsigned protocol = 0;

	if (!m)
		return map_text(r, text, n, out, e);
	/* TC_H_MAKE(priority << 16, protocol in network order) of net/sched/cls_api.c. What packets come to first is a
	 * hash table with a number of the kernel's (cls_u32.c gen_new_htid); filters in one of the user's may look
	 * from another header on, and are found by bits of what they compare */
	if (m->raw == RAW_U32 && query_int(r->row->q, 4 + (int)r->row->n_places) >= 0x80000000)
		protocol = ntohs((uint16_t)query_int(r->row->q, 3 + (int)r->row->n_places));
	return raw_edit(m->raw, protocol, text, n, raw_address, r, out, e);
}

/* Where podman keeps addresses that it gives again (libpod container_config.go, types.PerNetworkOptions,
 * types.PortMapping; CNI and netavark results). All else in config.dump and spec.dump tells what the container
 * was started with. */
static const char *const engine_keys[] = {"static_ips",
					  "staticIP",
					  "host_ip",
					  "hostIP",
					  "HostIP",
					  "ipnet",
					  "gateway",
					  "address",
					  "dnsServer",
					  "dns_server_ips",
					  "subnets",
					  "subnet",
					  "nameservers",
					  "io.kubernetes.cri-o.IP.0",
					  "io.kubernetes.cri-o.IP.1",
					  NULL};

static int engine_string(void *arg, struct span key, const char *text, size_t n, struct buf *out,
			 struct err *e)
{
	struct readdress *r = arg;
	const char *name = query_text(r->row->q, 2 + (int)r->row->n_places);
	int rc;

	r->is_config = strcmp(name, "network.status") != 0 && !is_key(key, engine_keys);
	rc = map_text(r, text, n, out, e);
	r->is_config = false;
	return rc;
}

/* ---- bytes ---- */

static int map_blob(struct readdress *r, struct span blob, struct buf *out, struct err *e)
{
	if (buf_add(out, blob.data, blob.len, e))
		return -1;
	return raw_look(RAW_SOCKADDR, 0, out->data, out->len, raw_address, r, e);
}

/* A packet filter compares with numbers, of which some may be IPv4 addresses ("tcpdump host A"): what it looks for is
 * the program's business, so that is said. An instruction is a number of eight bytes (imgdb/schema.sql). */
static int look_at_filter(struct readdress *r, struct span filter, struct err *e)
{
	enum { SIZE = 8, BPF_JEQ_K = 0x15 };
	char text[INET_TEXT_MAX];
	struct remap_addr a;

	for (size_t at = 0; at + SIZE <= filter.len && !r->is_scan; at += SIZE) {
		const uint8_t *b = filter.data + at, k[4] = {b[3], b[2], b[1], b[0]};

		if ((b[6] | b[7] << 8) != BPF_JEQ_K || !k[0])
			continue;
		inet_format(k, 4, text);
		if (remap_parse(text, strlen(text), &a) &&
		    remap_map(r->o->map, &a, NULL) == REMAP_DONE &&
		    left(r, text, strlen(text), "a packet filter looks for it", e))
			return -1;
	}
	return 0;
}

/* ---- interfaces and their routes ---- */

static bool map_one(const struct remap *m, const char *text, struct remap_addr *was,
		    struct remap_addr *is)
{
	if (!text || !remap_parse(text, strlen(text), was))
		return false;
	*is = *was;
	return remap_map(m, is, NULL) == REMAP_DONE;
}

/* The broadcast address of a network follows the address of the interface, also where a pair is only about a
 * part of that network. 1: it was one, 0, -1. */
static int map_broadcast(struct readdress *r, struct buf *out, bool *is_followed, struct err *e)
{
	const struct query *q = r->row->q;
	int64_t bits = query_int(q, 2 + (int)r->row->n_places);
	const char *text = query_text(q, 2 + (int)r->place);
	struct remap_addr was, is, brd;
	uint8_t first[16], last[16];
	bool is_moved;

	*is_followed = false;
	is_moved = map_one(r->o->map, query_text(q, 2), &was, &is);
	if (!query_text(q, 2) || was.len != 4 || bits < 0 || bits > 32 ||
	    !remap_parse(text, strlen(text), &brd) || brd.len != 4)
		return 0;
	inet_prefix_ends(was.first, 4, (unsigned)bits, first, last);
	if (memcmp(last, brd.first, 4) != 0)
		return 0;
	*is_followed = true;
	if (!is_moved || r->is_scan)
		return 0;
	inet_prefix_ends(is.first, 4, (unsigned)bits, first, brd.first);
	memcpy(brd.last, brd.first, 4);
	return remap_format(&brd, out, e) || !strcmp((const char *)out->data, text) ? 0 : 1;
}

/* Does the network of the interface go along as a whole? */
static int note_move(struct readdress *r, struct err *e)
{
	const struct query *q = r->row->q;
	int extra = 2 + (int)r->row->n_places;
	int64_t bits = query_int(q, extra);
	struct remap_addr was, is, peer_was, peer_is, net;
	struct moved m = {.netns = r->row->netns, .ifindex = query_int(q, extra + 1)};
	bool has_peer = query_text(q, 3) &&
			remap_parse(query_text(q, 3), strlen(query_text(q, 3)), &peer_was);
	bool is_moved = map_one(r->o->map, query_text(q, 2), &was, &is);
	bool is_peer_moved = has_peer && map_one(r->o->map, query_text(q, 3), &peer_was, &peer_is);
	bool is_whole;

	if (!query_text(q, 2) || (!is_moved && !is_peer_moved) || bits < 0 ||
	    (size_t)bits > was.len * 8 || (has_peer && peer_was.len != was.len))
		return 0;
	if (has_peer && !is_peer_moved)
		peer_is = peer_was;
	m.family = was.family;
	m.bits = (unsigned)bits;
	memcpy(m.from, was.first, 16);
	memcpy(m.to, is.first, 16);
	memcpy(m.net_from, has_peer ? peer_was.first : was.first, 16);
	memcpy(m.net_to, has_peer ? peer_is.first : is.first, 16);
	net = was;
	net.has_bits = true;
	net.bits = m.bits;
	inet_prefix_ends(m.net_from, net.len, m.bits, net.first, net.last);
	memcpy(net.last, net.first, 16);
	is_whole = remap_map(r->o->map, &net, NULL) == REMAP_DONE;
	/* of a network that one pair moves as a whole no address goes elsewhere */
	if (is_whole && r->o->map->n == 1)
		return 0;
	return moves_note_routes(r->x, &m, e) || moves_add(is_whole ? &r->whole : &r->moves, &m, e)
		       ? -1
		       : 0;
}

static int map_address_row(struct readdress *r, const char *text, struct buf *out, struct err *e)
{
	const char *column = r->row->t->place[r->place].column;
	bool is_followed = false;
	int rc;

	if (!strcmp(column, "address") && !r->is_scan && note_move(r, e))
		return -1;
	if (!strcmp(column, "broadcast")) {
		rc = map_broadcast(r, out, &is_followed, e);
		if (rc || is_followed)
			return rc;
	}
	return map_text(r, text, strlen(text), out, e);
}

static int map_route_row(struct readdress *r, const char *text, struct buf *out, struct err *e)
{
	const struct query *q = r->row->q;
	int extra = 2 + (int)r->row->n_places, rc = 0;
	/* its destination is made of an address of the interface, so it stays when that does */
	bool is_made = r->place == 0 && query_int(q, extra) == RTPROT_KERNEL;

	if (is_made && !r->is_scan)
		rc = moves_route(&r->moves, r->row->netns, query_int(q, extra + 1), text,
				 query_text(q, 2 + 4), out, e);
	if (rc)
		return rc;
	r->is_quiet = is_made;
	rc = map_text(r, text, strlen(text), out, e);
	r->is_quiet = false;
	return rc;
}

/* ---- sockets ---- */

/* The address of a socket as an interface has it, that is IPv4 not as IPv6. */
static const char *interface_address(const char *text)
{
	return strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
}

/* The other end of a connection is outside of the image when no interface of it had that address. Interfaces
 * are mapped by now, so it is looked for as it will be; those of namespaces that are not mapped are as they were. */
static int note_peer(struct readdress *r, const struct buf *out, struct err *e)
{
	const char *address = (const char *)out->data;
	const char *was = r->o->netns ? query_text(r->row->q, 2 + 1) : address;
	int extra = 2 + (int)r->row->n_places, rc;

	if (r->place != 1 || query_int(r->row->q, extra) != TCP_ESTABLISHED ||
	    query_int(r->row->q, extra + 1) != SOCK_STREAM)
		return 0;
	if (!r->peer && !(r->peer = query_new(r->scope.db,
					      "SELECT 1 FROM address WHERE image = :image AND "
					      "address IN (:address, :was) LIMIT 1",
					      e)))
		return -1;
	if (query_bind_int(r->peer, "image", r->scope.image, e) ||
	    query_bind_text(r->peer, "address", interface_address(address), e) ||
	    query_bind_text(r->peer, "was", interface_address(was), e))
		return -1;
	rc = query_next(r->peer, e);
	r->n_outside += rc == 0;
	return rc < 0 ? -1 : 0;
}

/* ---- all of it ---- */

static int place(void *arg, const struct place_row *row, unsigned i, struct buf *out, struct err *e)
{
	struct readdress *r = arg;
	const char *text = query_text(row->q, 2 + (int)i);
	struct span bytes;
	int rc;

	r->row = row;
	r->place = i;
	switch (row->t->place[i].kind) {
	case PLACE_JSON:
	case PLACE_OPTIONS:
		return jsontext_edit(text, strlen(text), json_string, r, out, e);
	case PLACE_ENGINE:
		return jsontext_edit(text, strlen(text), engine_string, r, out, e);
	case PLACE_RULESET:
		return map_ruleset(r, (struct span){(const uint8_t *)text, strlen(text)}, out, e);
	case PLACE_SOCKADDR:
		bytes = query_blob(row->q, 2 + (int)i);
		return map_blob(r, bytes, out, e);
	case PLACE_NOTE:
		return comment(r, text, strlen(text), e);
	case PLACE_FILTER:
		return look_at_filter(r, query_blob(row->q, 2 + (int)i), e);
	default:
		break;
	}
	if (!strcmp(row->t->table, "address"))
		return map_address_row(r, text, out, e);
	if (!strcmp(row->t->table, "route"))
		return map_route_row(r, text, out, e);
	rc = map_text(r, text, strlen(text), out, e);
	if (rc > 0 && !strcmp(row->t->table, "inet_socket") && note_peer(r, out, e))
		return -1;
	return rc;
}

static int walk_all(struct readdress *r, struct err *e)
{
	/* what the engine has is about the container, not about one of its namespaces */
	for (const struct place_table *t = place_tables; t->table; t++)
		if ((!r->o->netns || strcmp(t->netns, "NULL") != 0) &&
		    places_walk(&r->scope, t, !r->is_scan, place, r, e))
			return -1;
	return 0;
}

static int payload(struct readdress *r, struct err *e)
{
	const struct edit_bind binds[] = {{"image", NULL, edit_image(r->x)}, {0}};
	int64_t n;
	bool found;

	if (edit_number(
		    r->x,
		    "SELECT count(*) FROM socket_queue q JOIN socket s ON s.image = q.image AND "
		    "s.file_id = q.file_id WHERE q.image = :image AND q.length > 0 AND (s.family = "
		    "17 OR "
		    "s.type = 3) AND s.family IN (2, 10, 17)",
		    binds, &n, &found, e))
		return -1;
	return n ? edit_left(r->x, e, "socket_queue",
			     "%" PRId64
			     " packets that wait in raw and packet sockets: payload is not "
			     "changed",
			     n)
		 : 0;
}

static void readdress_free(struct readdress *r)
{
	edit_labels_free(r->labels);
	buf_free(&r->raw);
	query_free(r->peer);
	moves_free(&r->moves);
	moves_free(&r->whole);
	apart_free(&r->apart);
	free(r->stay);
}

int readdress_apply(struct edit *x, const struct readdress_opts *o, size_t *n_places, struct err *e)
{
	__attribute__((cleanup(readdress_free))) struct readdress r = {
		.x = x,
		.o = o,
		.scope = {edit_db(x), edit_image(x), o->netns, o->n_netns},
		.is_scan = true,
	};

	if (walk_all(&r, e))
		return -1;
	*n_places = r.n_found;
	if (!r.n_found)
		return 0;
	unify(&r);
	r.is_scan = false;
	if (apart_find(x, o, &r.apart, e) || walk_all(&r, e) ||
	    moves_settle(x, &r.moves, &r.whole, e) || apart_say(x, &r.apart, e) ||
	    count_left(&r, e))
		return -1;
	return payload(&r, e);
}
