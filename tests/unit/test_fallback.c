/* Devices that a kernel puts into every new namespace, as tunl0 when it has ipip. The kernels we test with have none of
 * these kinds, so two bridges stand for them here, in a namespace that is said to be a new one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/nl.h"
#include "base/ns.h"
#include "proto/rta.h"
#include "restorer/ifindex.h"
#include "restorer/steps_net.h"

static const char image[] =
	"UPDATE edit_state SET importing = 1, op = -1;"
	"INSERT INTO image (id, name, format, source, source_kind, evidence, host, dumped_at, "
	"imported_at, imported_by, tool) VALUES (1, 'i', 'nsimg', '/i', 'directory', 'x', NULL, "
	"NULL, '', '', '');"
	"INSERT INTO netns (id, image, ns_id, pins) VALUES (1, 1, 1, '[]'), (2, 1, 2, '[]');"
	"INSERT INTO device (id, image, netns, ifindex, name, kind, flags) VALUES"
	" (1, 1, 1, 1, 'lo', NULL, 9),"
	" (2, 1, 1, 3, 'tunl0', 'bridge', 0)," /* the kernels number them otherwise */
	" (3, 1, 1, 2, 'sit0', 'bridge', 0),"
	" (4, 1, 2, 1, 'lo', NULL, 9),"
	" (5, 1, 2, 2, 'tunl0', 'bridge', 0)," /* as here */
	" (6, 1, 2, 3, 'e0', 'veth', 0),"      /* its index is taken */
	" (7, 1, 2, 4, 'sit0', 'veth', 0);"    /* its name is, by another kind */
	"INSERT INTO address (image, netns, family, address, prefixlen, ifindex, flags) VALUES"
	" (1, 1, 2, '10.0.0.3', 24, 3, 0), (1, 1, 2, '10.0.0.2', 24, 2, 0);"
	"UPDATE edit_state SET importing = 0, op = 0;";

struct fixture {
	struct ns *ns;
	struct db *db;
	struct restore *r;
};

static int link_add(struct nl *nl, const char *name, int ifindex, struct err *e)
{
	auto_buf struct buf b = {0};
	struct ifinfomsg ifi = {.ifi_index = ifindex};
	size_t info;

	return nl_msg_begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi), e) ||
			       nl_put_str(&b, IFLA_IFNAME, name, e) ||
			       nl_nest_begin(&b, IFLA_LINKINFO, &info, e) ||
			       nl_put_str(&b, IFLA_INFO_KIND, "bridge", e) ||
			       nl_nest_end(&b, info, e) || nl_do(nl, &b, name, e)
		       ? -1
		       : 0;
}

static int setup(void **state)
{
	static struct fixture f;
	static const struct restore_opts opts = {.any_ifindex = true};
	struct err e = ERR_INIT;
	struct nl *nl;

	f = (struct fixture){.ns = ns_new(&e)};
	nl = f.ns ? nl_open_in(f.ns, NETLINK_ROUTE, &e) : NULL;
	if (!nl || link_add(nl, "tunl0", 2, &e) || link_add(nl, "sit0", 3, &e))
		print_message("[  SKIPPED ] no namespace with devices of our own: %s\n", e.msg);
	else if (!(f.db = db_open(NULL, DB_MEMORY, &e)) || db_exec(f.db, image, &e) ||
		 !(f.r = restore_new(f.db, 1, &opts, &e)))
		fail_msg("%s", e.msg);
	nl_free(nl);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	restore_free(f->r);
	db_free(f->db);
	ns_free(f->ns);
	return 0;
}

static void test_clashes(void **state)
{
	static const struct {
		const char *device;
		int from, to;
		bool is_there;
	} want[] = {
		{"ns1 sit0", 2, 3, true},
		{"ns1 tunl0", 3, 2, true},
		{"ns2 e0", 3, 5, false},
		{"ns2 sit0", 4, 0, false},
	};
	struct fixture *f = *state;
	auto_clashes struct clashes c = {0};
	struct err e = ERR_INIT;

	if (!f->r)
		return;
	if (clashes_find(&c, f->r, f->ns, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(c.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < c.n; i++) {
		assert_string_equal(c.all[i].device, want[i].device);
		assert_int_equal(c.all[i].change.from, want[i].from);
		assert_int_equal(c.all[i].change.to, want[i].to);
		assert_int_equal(c.all[i].is_there, want[i].is_there);
	}
}

/* Two change places, and their addresses with them. */
static void test_change_places(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	auto_db struct db *copy = NULL;
	auto_query struct query *q = NULL;

	if (!f->r)
		return;
	copy = ifindex_adapt(f->r, f->ns, &e);
	q = copy ? query_new(copy,
			     "SELECT group_concat(name || ' ' || ifindex || coalesce(' ' || "
			     "(SELECT address FROM address a WHERE a.netns = d.netns AND "
			     "a.ifindex = d.ifindex), ''), ', ') FROM (SELECT * FROM device ORDER "
			     "BY id) d WHERE name <> 'lo'",
			     &e)
		 : NULL;
	if (!q || query_next(q, &e) != 1)
		fail_msg("%s", e.msg);
	assert_string_equal(query_text(q, 0), "tunl0 2 10.0.0.3, sit0 3 10.0.0.2, tunl0 2, e0 5, "
					      "sit0 4");
}

/* What is there is not made, and gets its settings. */
static void test_link_is_there(void **state)
{
	static const struct {
		const char *name, *kind, *words; /* NULL: taken */
	} cases[] = {
		{"tunl0", "bridge", NULL},
		{"tunl0", "ifb", "interface index 2 or name tunl0 is taken there"},
		{"other0", "bridge", "interface index 2 or name other0 is taken there"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; f->r && i < ARRAY_SIZE(cases); i++) {
		struct err e = ERR_INIT;
		struct link_data d = {.ifindex = 2};
		struct step s = {.netns = 1, .data = &d};
		auto_buf struct buf now = {0};

		d.name = (char *)(uintptr_t)cases[i].name;
		d.kind = (char *)(uintptr_t)cases[i].kind;
		restore_netns_find(f->r, 1)->ns = f->ns;
		if (rta_row_new(RTA_TABLE_DEVICE, NULL, &s.msg, &e) ||
		    rta_put(&s.msg, RTA_PATH(IFLA_IFNAME), d.name, strlen(d.name) + 1, &e) ||
		    rta_put_u32(&s.msg, RTA_PATH(IFLA_MTU), 1400, &e) ||
		    rta_put(&s.msg, RTA_PATH(IFLA_LINKINFO, IFLA_INFO_KIND), d.kind,
			    strlen(d.kind) + 1, &e))
			fail_msg("%s", e.msg);
		((struct ifinfomsg *)NLMSG_DATA((struct nlmsghdr *)s.msg.data))->ifi_index = 2;
		if (run_link(f->r, &s, &e) != (cases[i].words ? -1 : 0))
			fail_msg("%s %s: %s", d.name, d.kind, e.msg);
		if (cases[i].words)
			assert_non_null(strstr(e.msg, cases[i].words));
		else if (link_get(restore_rtnl(f->r, 1, &e), 2, &now, &e) ||
			 rta_get_u32(buf_span(&now), RTA_PATH(IFLA_MTU), 0) != 1400)
			fail_msg("MTU: %s", e.msg);
		buf_free(&s.msg);
		restore_netns_find(f->r, 1)->ns = NULL;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clashes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_change_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_link_is_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
