/* remac.c: nsimg remac: another MAC address for a device, in every place where it stands or is part of an address. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/hex.h"
#include "inspect/commands.h"
#include "inspect/edit/fwtext.h"
#include "inspect/edit/jsontext.h"
#include "inspect/edit/places.h"
#include "inspect/edit/rawbytes.h"
#include "inspect/edit/readdress.h"

enum { MAC_LEN = 6, MAC_TEXT = 17, STACK_MAX = 64 };

struct remac {
	struct edit *x;
	int64_t device, netns, ifindex;
	uint8_t old[MAC_LEN], new[MAC_LEN];
	char old_text[INET_LL_MAX], new_text[INET_LL_MAX];
	bool is_shared;          /* another device of the image has the old address, too */
	struct edit_ids devices; /* the device, and those above it that take its address */
	struct edit_labels *labels;
	const struct place_row *row;
};

static int label(struct remac *r, const char *table, int64_t id, struct buf *out, struct err *e)
{
	if (!r->labels && !(r->labels = edit_labels_new(edit_db(r->x), 0, e)))
		return -1;
	return edit_label(r->labels, table, id, NULL, out, e);
}

/* ---- which devices ---- */

/* Devices above that have the address of the lower one: a vlan takes it along (net/8021q/vlan.c
 * vlan_sync_address), a macvlan in mode passthru (8) and an ipvlan always (macvlan.c, ipvlan_main.c). */
static const char above_sql[] = "SELECT u.id FROM device u JOIN device d ON d.id = :device WHERE "
				"u.image = d.image AND u.link = "
				"d.ifindex AND coalesce(u.peer_netns, u.netns) = d.netns AND u.id "
				"<> d.id AND u.address = :old AND "
				"(u.kind IN ('vlan', 'ipvlan', 'ipvtap') OR (u.kind IN ('macvlan', "
				"'macvtap') AND u.attrs ->> 'mode' "
				"IN (8, 'passthru')))";

static bool has_id(const struct edit_ids *ids, int64_t id)
{
	for (size_t i = 0; i < ids->n; i++)
		if (ids->id[i] == id)
			return true;
	return false;
}

static int find_devices(struct remac *r, struct err *e)
{
	if (edit_ids_add(&r->devices, r->device, e))
		return -1;
	for (size_t i = 0; i < r->devices.n && i < STACK_MAX; i++) {
		auto_query struct query *q = query_new(edit_db(r->x), above_sql, e);
		int rc;

		if (!q || query_bind_int(q, "device", r->devices.id[i], e) ||
		    query_bind_text(q, "old", r->old_text, e))
			return -1;
		while ((rc = query_next(q, e)) == 1)
			if (!has_id(&r->devices, query_int(q, 0)) &&
			    edit_ids_add(&r->devices, query_int(q, 0), e))
				return -1;
		if (rc)
			return -1;
	}
	return 0;
}

/* Other devices with the same address: it cannot be told whom a neighbour means. */
static int find_shared(struct remac *r, struct err *e)
{
	auto_query struct query *q = query_new(edit_db(r->x),
					       "SELECT id, master, kind FROM device WHERE image = "
					       ":image AND address = :old ORDER BY id",
					       e);
	int rc;

	if (!q || query_bind_int(q, "image", edit_image(r->x), e) ||
	    query_bind_text(q, "old", r->old_text, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		auto_buf struct buf name = {0};
		int64_t id = query_int(q, 0);

		if (has_id(&r->devices, id))
			continue;
		r->is_shared = true;
		if (label(r, "device", id, &name, e) ||
		    edit_left(r->x, e, (const char *)name.data,
			      "it has the same address and keeps it; what names it in other "
			      "namespaces "
			      "stays, too"))
			return -1;
	}
	return rc;
}

/* ---- the texts ---- */

static bool is_old(const struct remac *r, const char *text, size_t n)
{
	return n == MAC_TEXT && !strncasecmp(text, r->old_text, n);
}

static int put_new(const struct remac *r, const char *text, size_t n, struct buf *out,
		   struct err *e)
{
	return !is_old(r, text, n) ? 0 : buf_add_str(out, r->new_text, e) ? -1 : 1;
}

/* A MAC address in the bytes of a u32 filter (raw_fn). */
static int raw_mac(void *arg, uint8_t *address, size_t len, unsigned bits, bool is_sure,
		   struct err *e)
{
	const struct remac *r = arg;

	if (len != MAC_LEN || bits != 8 * MAC_LEN || !is_sure ||
	    memcmp(address, r->old, MAC_LEN) != 0)
		return 0;
	memcpy(address, r->new, MAC_LEN);
	return 1;
}

static bool is_named(struct span key, const char *name)
{
	return key.len == strlen(name) && !memcmp(key.data, name, key.len);
}

/* Of a device only what is its own: the permanent address and the like. The source list of a macvlan has the addresses
 * of others (drivers/net/macvlan.c, macvlan_forward_source). */
static int json_string(void *arg, struct span key, const char *text, size_t n, struct buf *out,
		       struct err *e)
{
	struct remac *r = arg;
	const char *table = r->row->t->table;
	const char *kind = query_text(r->row->q, 2 + (int)r->row->n_places);

	if (!strcmp(table, "device") && !has_id(&r->devices, r->row->key) &&
	    !is_named(key, "macaddr_data"))
		return 0;
	if (!strcmp(table, "traffic_control") && kind && !strcmp(kind, "u32") &&
	    is_named(key, "tail"))
		return raw_edit(RAW_U32, 0, text, n, raw_mac, r, out, e);
	return put_new(r, text, n, out, e);
}

/* Memberships of packet sockets are bytes in hex. */
static int mclist_string(void *arg, struct span key, const char *text, size_t n, struct buf *out,
			 struct err *e)
{
	const struct remac *r = arg;
	uint8_t mac[MAC_LEN];

	(void)key;
	if (n < 2 * MAC_LEN || !hex_read(text, 2 * MAC_LEN, mac) ||
	    memcmp(mac, r->old, MAC_LEN) != 0)
		return 0;
	return hex_add(out, r->new, MAC_LEN, e) ||
			       buf_add(out, text + 2 * MAC_LEN, n - 2 * MAC_LEN, e)
		       ? -1
		       : 1;
}

static int ruleset_word(void *arg, enum fw_kind kind, const char *word, size_t n, struct buf *out,
			struct err *e)
{
	struct remac *r = arg;
	auto_buf struct buf name = {0};

	if (kind == FW_MAC)
		return put_new(r, word, n, out, e);
	if (kind != FW_COMMENT)
		return 0;
	for (size_t i = 0; i + MAC_TEXT <= n; i++) {
		if (!is_old(r, word + i, MAC_TEXT))
			continue;
		if (label(r, r->row->t->table, r->row->key, &name, e))
			return -1;
		return edit_left(r->x, e, (const char *)name.data,
				 "%.*s: inside a comment or other text", (int)(n < 100 ? n : 100),
				 word);
	}
	return 0;
}

/* Raw expressions say where in a packet they look, not what is there (raw_word_fn). */
static int raw_word(void *arg, const char *word, size_t n, uint8_t *address, size_t len,
		    unsigned bits, struct err *e)
{
	struct remac *r = arg;
	auto_buf struct buf name = {0};

	if (len != MAC_LEN || memcmp(address, r->old, MAC_LEN) != 0)
		return 0;
	return label(r, r->row->t->table, r->row->key, &name, e) ||
			       edit_left(r->x, e, (const char *)name.data,
					 "%.*s: it looks for bytes that may be %s",
					 (int)(n < 100 ? n : 100), word, r->old_text)
		       ? -1
		       : 0;
}

/* Which tables have link-layer addresses, and where else than in their JSON. */
static int place(void *arg, const struct place_row *row, unsigned i, struct buf *out, struct err *e)
{
	struct remac *r = arg;
	const char *text = query_text(row->q, 2 + (int)i);
	size_t n = strlen(text);

	r->row = row;
	switch (row->t->place[i].kind) {
	case PLACE_TEXT:
		return strcmp(row->t->place[i].column, "lladdr") != 0 ? 0
								      : put_new(r, text, n, out, e);
	case PLACE_JSON:
		if (!strcmp(row->t->place[i].column, "mclist"))
			return jsontext_edit(text, n, mclist_string, r, out, e);
		return jsontext_edit(text, n, json_string, r, out, e);
	case PLACE_ENGINE:
		return jsontext_edit(text, n, json_string, r, out, e);
	case PLACE_RULESET:
		if (raw_ruleset(query_text(row->q, 2 + (int)row->n_places), text, n, raw_word, r,
				e))
			return -1;
		return fwtext_edit(query_text(row->q, 2 + (int)row->n_places), text, n,
				   ruleset_word, r, out, e);
	default:
		return 0;
	}
}

static const char *const tables[] = {"neighbour", "device",        "traffic_control",
				     "firewall",  "packet_socket", "engine_file",
				     "route"};

static int change_texts(struct remac *r, struct err *e)
{
	const struct place_scope all = {edit_db(r->x), edit_image(r->x), NULL, 0};
	const struct place_scope own = {edit_db(r->x), edit_image(r->x), &r->netns, 1};

	for (const struct place_table *t = place_tables; t->table; t++)
		for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
			if (!strcmp(tables[i], t->table) &&
			    (!r->is_shared || strcmp(t->netns, "NULL") != 0) &&
			    places_walk(r->is_shared ? &own : &all, t, true, place, r, e))
				return -1;
	return 0;
}

/* ---- addresses made of it ---- */

/* The interface identifier (RFC 4291, appendix A). */
static void eui64(const uint8_t mac[MAC_LEN], uint8_t out[8])
{
	memcpy(out, mac, 3);
	out[0] ^= 2;
	out[3] = 0xff;
	out[4] = 0xfe;
	memcpy(out + 5, mac + 3, 3);
}

static int add_addresses(struct remac *r, int64_t device, struct remap *m, struct err *e)
{
	auto_query struct query *q = query_new(edit_db(r->x),
					       "SELECT DISTINCT a.address FROM address a JOIN "
					       "device d ON d.netns = a.netns AND d.ifindex = "
					       "a.ifindex WHERE d.id = :id AND a.family = 10",
					       e);
	uint8_t was[8], is[8];
	int rc;

	eui64(r->old, was);
	eui64(r->new, is);
	if (!q || query_bind_int(q, "id", device, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		char from[INET_TEXT_MAX], to[INET_TEXT_MAX];
		struct err twice = ERR_INIT;
		struct remap_addr a;

		if (!query_text(q, 0) ||
		    !remap_parse(query_text(q, 0), strlen(query_text(q, 0)), &a) || a.len != 16 ||
		    memcmp(a.first + 8, was, 8) != 0)
			continue;
		inet_format(a.first, 16, from);
		memcpy(a.first + 8, is, 8);
		inet_format(a.first, 16, to);
		/* devices above each other may have the same one */
		if (remap_add(m, from, to, &twice) && !strstr(twice.msg, "twice")) {
			*e = twice;
			return -1;
		}
	}
	return rc;
}

static void map_free(struct remap *m)
{
	remap_free(m);
}

static int change_addresses(struct remac *r, struct err *e)
{
	__attribute__((cleanup(map_free))) struct remap m = {0};
	struct readdress_opts o = {.map = &m};
	size_t n;

	for (size_t i = 0; i < r->devices.n; i++)
		if (add_addresses(r, r->devices.id[i], &m, e))
			return -1;
	if (!m.n)
		return 0;
	if (r->is_shared) {
		o.netns = &r->netns;
		o.n_netns = 1;
	}
	return readdress_apply(r->x, &o, &n, e);
}

/* ---- the command ---- */

static int parse_mac(const char *text, uint8_t mac[MAC_LEN], struct err *e)
{
	static const uint8_t zero[MAC_LEN];
	uint8_t bytes[INET_LL_BYTES];
	size_t len;

	if (inet_ll_parse(text, bytes, &len, e) || len != MAC_LEN)
		return err_set(e, ERR_USAGE,
			       "'%s' is no MAC address: six bytes in hex, as in 02:00:00:00:00:01",
			       text);
	if (bytes[0] & 1)
		return err_set(
			e, ERR_USAGE,
			"%s is a group address (the lowest bit of its first byte is set); a device "
			"takes none",
			text);
	if (!memcmp(bytes, zero, MAC_LEN))
		return err_set(e, ERR_USAGE, "a device does not take an address of zeros");
	memcpy(mac, bytes, MAC_LEN);
	return 0;
}

static int read_device(struct remac *r, struct err *e)
{
	auto_query struct query *q = query_new(
		edit_db(r->x), "SELECT netns, ifindex, address FROM device WHERE id = :id", e);
	struct err no_mac = ERR_INIT;
	const char *text;

	if (!q || query_bind_int(q, "id", r->device, e) || query_next(q, e) < 0)
		return -1;
	r->netns = query_int(q, 0);
	r->ifindex = query_int(q, 1);
	text = query_text(q, 2);
	if (!text || parse_mac(text, r->old, &no_mac))
		return err_set(e, ERR_UNSUPPORTED, "the device has no MAC address to change (%s)",
			       text ? text : "none in the image");
	inet_ll_format(r->old, MAC_LEN, r->old_text);
	inet_ll_format(r->new, MAC_LEN, r->new_text);
	return !memcmp(r->old, r->new, MAC_LEN)
		       ? err_set(e, ERR_USAGE, "the device has the address %s already", r->new_text)
		       : 0;
}

static int check_free(struct remac *r, struct err *e)
{
	const struct edit_bind binds[] = {{"netns", NULL, r->netns}, {"new", r->new_text, 0}, {0}};
	int64_t id;
	bool found;

	if (edit_number(r->x,
			"SELECT id FROM device WHERE netns = :netns AND address = :new LIMIT 1",
			binds, &id, &found, e))
		return -1;
	return found ? err_set(e, ERR_CONFLICT,
			       "another device of the namespace has the address %s", r->new_text)
		     : 0;
}

static int change_devices(struct remac *r, struct err *e)
{
	for (size_t i = 0; i < r->devices.n; i++) {
		const struct edit_bind binds[] = {
			{"new", r->new_text, 0}, {"id", NULL, r->devices.id[i]}, {0}};

		if (edit_exec(r->x, "UPDATE device SET address = :new WHERE id = :id", binds, e))
			return -1;
	}
	return 0;
}

static int run(struct remac *r, const struct cli *c, struct err *e)
{
	return parse_mac(cli_arg(c, 2), r->new, e) ||
			       edit_find_device(r->x, cli_arg(c, 1), &r->device, e) ||
			       read_device(r, e) || check_free(r, e) || find_devices(r, e) ||
			       find_shared(r, e) || change_devices(r, e) || change_texts(r, e) ||
			       change_addresses(r, e)
		       ? -1
		       : 0;
}

int remac_edit(struct edit *x, const struct cli *c, struct err *e)
{
	struct remac r = {.x = x};
	int rc = run(&r, c, e);

	edit_labels_free(r.labels);
	edit_ids_free(&r.devices);
	return rc;
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_remac = {
	EDIT_CMD,
	.name = "remac",
	.synopsis = "DB [NETNS/]DEVICE MAC",
	.summary = "give a device another MAC address, everywhere",
	.opts = options,
	.min_args = 3,
	.max_args = 3,
};
