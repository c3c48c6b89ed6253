/* The repairs of the codes: each changes as little as makes the finding untrue. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "inspect/check/check.h"
#include "proto/lock.h"

int fix_drop_row(struct edit *x, const char *table, int64_t row, struct err *e)
{
	const struct edit_bind binds[] = {{"row", NULL, row}, {0}};
	char sql[80];

	snprintf(sql, sizeof(sql), "DELETE FROM \"%s\" WHERE id = :row", table);
	return edit_exec(x, sql, binds, e);
}

/* ---- devices ---- */

/* What refers to a device that is not there: a row about it alone goes, a port leaves its master. */
int fix_ref_device(struct edit *x, const char *table, int64_t row, struct err *e)
{
	const struct edit_bind binds[] = {{"row", NULL, row}, {0}};
	int64_t id;
	bool found;

	if (!strcmp(table, "route")) {
		if (edit_number(x, "SELECT id FROM route WHERE id = :row AND multipath IS NULL",
				binds, &id, &found, e))
			return -1;
		return found ? fix_drop_row(x, table, row, e)
			     : err_set(e, ERR_UNSUPPORTED,
				       "only some of its nexthops are lost; nsimg set or nsimg "
				       "drop changes it");
	}
	if (strcmp(table, "device") != 0)
		return fix_drop_row(x, table, row, e);
	if (edit_number(x,
			"SELECT d.id FROM device d WHERE d.id = :row AND d.master > 0 AND NOT "
			"EXISTS (SELECT 1 FROM device m WHERE m.netns = d.netns AND m.ifindex = "
			"d.master)",
			binds, &id, &found, e))
		return -1;
	return found ? edit_exec(x, "UPDATE device SET master = NULL WHERE id = :row", binds, e)
		     : err_set(e, ERR_UNSUPPORTED,
			       "its other end is lost: nsimg drop takes the device away");
}

/* Locally administered, of one station, the same each time: from the hash of the image and the place of the device. */
static int make_mac(const char *evidence, int64_t place, unsigned turn, char mac[18], struct err *e)
{
	char seed[160], hex[HASH_HEX_LEN + 1];

	snprintf(seed, sizeof(seed), "%s %" PRId64 " %u", evidence, place, turn);
	if (hash_bytes(seed, strlen(seed), hex, e))
		return -1;
	snprintf(mac, 18, "02:%.2s:%.2s:%.2s:%.2s:%.2s", hex, hex + 2, hex + 4, hex + 6, hex + 8);
	return 0;
}

int fix_bridge_mac(struct edit *x, const char *table, int64_t row, struct err *e)
{
	const struct edit_bind binds[] = {{"row", NULL, row}, {0}};
	auto_buf struct buf evidence = {0};
	int64_t place, id;
	char mac[18];
	bool found = true;

	if (edit_text(x,
		      "SELECT i.evidence FROM device d JOIN image i ON i.id = d.image WHERE d.id = "
		      ":row",
		      binds, &evidence, &found, e) ||
	    edit_number(x,
			"SELECT n.ns_id * 65536 + d.ifindex FROM device d JOIN netns n ON n.id = "
			"d.netns WHERE d.id = :row",
			binds, &place, &found, e))
		return -1;
	for (unsigned turn = 0; found; turn++) {
		const struct edit_bind new[] = {
			{"mac", mac, 0}, {"image", NULL, edit_image(x)}, {"row", NULL, row}, {0}};

		if (make_mac((const char *)evidence.data, place, turn, mac, e) ||
		    edit_number(x, "SELECT id FROM device WHERE image = :image AND address = :mac",
				new, &id, &found, e))
			return -1;
		if (!found)
			return edit_exec(x, "UPDATE device SET address = :mac WHERE id = :row", new,
					 e);
	}
	return 0;
}

/* ---- routes ---- */

int fix_route_flags(struct edit *x, const char *table, int64_t row, struct err *e)
{
	const struct edit_bind binds[] = {{"row", NULL, row}, {0}};

	return edit_exec(x,
			 "UPDATE route SET flags = flags & ~17, multipath = CASE WHEN multipath "
			 "IS NOT NULL THEN (SELECT json_group_array(json_set(value, '$.flags', "
			 "coalesce(value ->> 'flags', 0) & ~17)) FROM json_each(multipath)) END "
			 "WHERE id = :row",
			 binds, e);
}

/* The kernel's message has the gateway and device of the object beside its id, unless
 * net.ipv4.nexthop_compat_mode is 0. */
int fix_route_nexthop(struct edit *x, const char *table, int64_t row, struct err *e)
{
	const struct edit_bind binds[] = {{"row", NULL, row}, {0}};
	int64_t id;
	bool found;

	if (edit_exec(x,
		      "UPDATE route SET (gateway, oif) = (SELECT h.gateway, h.oif FROM nexthop h "
		      "WHERE h.netns = route.netns AND h.nh_id = route.nh_id) WHERE id = :row AND "
		      "gateway IS NULL AND via IS NULL AND oif IS NULL AND multipath IS NULL AND "
		      "EXISTS (SELECT 1 FROM nexthop h WHERE h.netns = route.netns AND h.nh_id = "
		      "route.nh_id AND h.oif > 0)",
		      binds, e) ||
	    edit_number(x,
			"SELECT id FROM route WHERE id = :row AND (gateway IS NOT NULL OR via IS "
			"NOT NULL OR oif > 0 OR multipath IS NOT NULL)",
			binds, &id, &found, e))
		return -1;
	/* one that drops packets (blackhole and the like) has no device, but the kernel told lo */
	return found ? edit_exec(x,
				 "UPDATE route SET nh_id = NULL, oif = CASE WHEN family = 2 AND "
				 "type IN (6, 7, 8) THEN NULL ELSE oif END WHERE id = :row",
				 binds, e)
		     : err_set(e, ERR_UNSUPPORTED,
			       "the image does not say where its nexthop led; nsimg set gives the "
			       "route a gateway, or nsimg drop takes it away");
}

/* ---- namespaces ---- */

/* The namespace of the root task gets a number of its own and becomes one that CRIU is given. It enters a namespace
 * then, so that children may be in others, which it makes from their images as ever. */
int fix_root_netns(struct edit *x, const char *table, int64_t row, struct err *e)
{
	const struct edit_bind binds[] = {{"image", NULL, edit_image(x)}, {0}};
	static const char key[] = "host";
	int64_t netns, n;
	bool found;

	if (edit_number(x,
			"SELECT n.id FROM image i JOIN task r ON r.image = i.id AND r.pid = "
			"i.root_pid JOIN netns n ON n.id = r.netns WHERE i.id = :image AND "
			"n.ext_key IS NULL",
			binds, &netns, &found, e))
		return -1;
	if (!found)
		return 0;
	if (externalize(x, netns, key, e))
		return -1;
	/* two rules a connection (nf_connection_switch_raw() in criu/netfilter.c) */
	if (edit_number(x,
			"SELECT count(*) FROM socket s JOIN inet_socket i ON i.socket = s.id WHERE "
			"s.image = :image AND s.protocol = 6 AND i.dst_port > 0 AND s.state NOT IN "
			"(7, 10) HAVING count(*) > 0",
			binds, &n, &found, e) ||
	    (found &&
	     edit_left(x, e, "connections in the namespace of the root task",
		       "CRIU's dump has stopped them there by rules of iptables (! --mark 0xc114 "
		       "-j DROP), which are to be taken away on the machine of the dump (nsimg "
		       "restore --criu does it)")))
		return -1;
	return edit_left(x, e, "the namespace of the root task",
			 "criu restore wants it as --inherit-fd 'fd[N]:%s'", key);
}

/* One that was outside has no image of its network: it can only be given, by its name. */
int fix_ref_netns(struct edit *x, const char *table, int64_t row, struct err *e)
{
	const struct edit_bind binds[] = {{"row", NULL, row}, {0}};
	auto_buf struct buf key = {0}, name = {0};
	bool found;

	if (edit_text(x, "SELECT coalesce(name, 'ns' || ns_id) FROM netns WHERE id = :row", binds,
		      &key, &found, e) ||
	    edit_name(x, table, row, &name, e))
		return -1;
	if (!found)
		return 0;
	if (externalize(x, row, (const char *)key.data, e))
		return -1;
	return edit_left(x, e, (const char *)name.data,
			 "criu restore wants it as --inherit-fd 'fd[N]:%s'",
			 (const char *)key.data);
}

/* CRIU leaves tables even where no lock was, because it takes away what it did not find; told that there was none
 * (NETWORK_LOCK_SKIP of criu/include/cr_options.h), it does not look. */
static int forget_method(struct edit *x, struct err *e)
{
	const struct edit_bind binds[] = {{"image", NULL, edit_image(x)}, {0}};

	return edit_exec(x, "UPDATE image SET lock_method = 2 WHERE id = :image", binds, e);
}

/* While CRIU restores the connections of a namespace, nothing keeps their packets back then. */
static int say_open(struct edit *x, int64_t row, struct err *e)
{
	const struct edit_bind binds[] = {{"row", NULL, row}, {0}};
	auto_buf struct buf name = {0};
	int64_t n;
	bool found;

	if (edit_number(x,
			"SELECT count(*) FROM firewall f JOIN socket s ON s.netns = f.netns JOIN "
			"inet_socket i ON i.socket = s.id WHERE f.id = :row AND s.protocol = 6 AND "
			"i.dst_port <> 0 AND s.state NOT IN (7, 10)",
			binds, &n, &found, e) ||
	    edit_name(x, "firewall", row, &name, e))
		return -1;
	return !n ? 0
		  : edit_left(
			    x, e, (const char *)name.data,
			    "%" PRId64 " established connections: nothing keeps back their "
			    "packets while CRIU restores them, and one that is sent before its "
			    "other end is there resets it (nsimg restore --criu has a lock of its "
			    "own)",
			    n);
}

int fix_lock(struct edit *x, const char *table, int64_t row, struct err *e)
{
	const struct edit_bind id[] = {{"row", NULL, row}, {0}};
	auto_buf struct buf text = {0}, rest = {0};
	bool found, had;

	if (edit_text(x, "SELECT content FROM firewall WHERE id = :row", id, &text, &found, e) ||
	    !found || lock_strip((const char *)text.data, &rest, &had, e) ||
	    buf_add(&rest, "", 0, e))
		return found ? -1 : 0;
	{
		const struct edit_bind set[] = {
			{"row", NULL, row},
			{"content", rest.data ? (const char *)rest.data : "", 0},
			{0}};

		if (edit_exec(x, "UPDATE firewall SET content = :content WHERE id = :row", set, e))
			return -1;
	}
	return forget_method(x, e) || say_open(x, row, e) ? -1 : 0;
}
