/* The attribute codec on bytes: real dumps of the corpus, kinds this machine's kernel does not have (messages
 * made here from the layout in the uapi headers), patches read back by ip(8), and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/nl.h"
#include "corpus.h"
#include "proto/rta.h"

/* --- helpers --- */

static struct span as_span(const struct nlmsghdr *h)
{
	return (struct span){(const uint8_t *)h, h->nlmsg_len};
}

struct row {
	size_t n;
	struct {
		const char *name;
		struct rta_value v;
		char *text;
	} col[64];
};

static int keep(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct row *r = arg;

	r->col[r->n].name = column;
	r->col[r->n].v = *v;
	r->col[r->n].text = v->type == RTA_VALUE_TEXT ? strdup(v->text) : NULL;
	r->col[r->n].v.text = r->col[r->n].text;
	r->n++;
	return 0;
}

static void row_free(struct row *r)
{
	while (r->n)
		free(r->col[--r->n].text);
}
#define auto_row __attribute__((cleanup(row_free)))

static const struct rta_value *value(const struct row *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (!strcmp(r->col[i].name, name))
			return &r->col[i].v;
	fail_msg("no column %s", name);
	return NULL;
}

static const char *text(const struct row *r, const char *name)
{
	const struct rta_value *v = value(r, name);

	return v->text ? v->text : "";
}

static void decode(const char *name, struct span msg, struct row *r)
{
	struct err e = ERR_INIT;

	if (rta_row_decode(rta_table_of(msg), msg, keep, r, &e))
		fail_msg("%s: %s", name, e.msg);
}

static int no_diff(const char *path, const char *a, const char *b, void *arg, struct err *e)
{
	return err_set(e, ERR_CONFLICT, "%s: %s -> %s", path, a ? a : "none", b ? b : "none");
}

/* --- the corpus --- */

/* Every column set to what it is: nothing changes. Then every column of an empty message set to what it is here:
 * the same row. */
static void check_message(const char *file, struct span msg)
{
	enum rta_table t = rta_table_of(msg);
	auto_buf struct buf out = {0}, json = {0}, line = {0}, filtered = {0}, fresh = {0};
	auto_json struct json *parsed = NULL;
	auto_row struct row r = {0}, again = {0};
	struct rta_edit edits[64];
	struct err e = ERR_INIT;
	size_t i, n = 0;

	decode(file, msg, &r);
	for (i = 0; i < r.n; i++) {
		if (strcmp(r.col[i].name, rta_column(t, i)))
			fail_msg("%s: column %zu is %s", file, i, r.col[i].name);
		edits[n++] = (struct rta_edit){r.col[i].name, r.col[i].v};
	}
	if (rta_row_patch(t, msg, edits, n, &out, &e))
		fail_msg("%s: %s", file, e.msg);
	if (out.len != msg.len || memcmp(out.data, msg.data, msg.len))
		fail_msg("%s: a patch without a change changed bytes", file);
	if (rta_json(msg, &json, &e) || rta_print(msg, NULL, NULL, &line, &e) ||
	    rta_filter(msg, RTA_FOR_CREATE, &filtered, &e) || rta_check(buf_span(&filtered), &e))
		fail_msg("%s: %s", file, e.msg);
	parsed = json_parse((char *)json.data, json.len, &e);
	if (!parsed || rta_diff(msg, msg, no_diff, NULL, &e))
		fail_msg("%s: %s", file, e.msg);
	buf_reset(&out);
	if (rta_row_new(t,
			value(&r, r.col[0].name)->type == RTA_VALUE_INT &&
					t == RTA_TABLE_CONNTRACK && r.col[0].v.num
				? "expect"
				: NULL,
			&fresh, &e) ||
	    rta_row_patch(t, buf_span(&fresh), edits, n, &out, &e))
		fail_msg("%s: %s: %s", file, (char *)line.data, e.msg);
	decode(file, buf_span(&out), &again);
	for (i = 0; i < r.n; i++)
		if (r.col[i].v.type != again.col[i].v.type || r.col[i].v.num != again.col[i].v.num)
			fail_msg("%s: %s: %s of the row made new: %s instead of %s", file,
				 (char *)line.data, r.col[i].name, text(&again, r.col[i].name),
				 text(&r, r.col[i].name));
}

static void run_ip(const char *command, const char *path, struct buf *out)
{
	struct err e = ERR_INIT;
	char line[8192];
	FILE *p;

	snprintf(line, sizeof(line), "%s < '%s' 2>/dev/null", command, path);
	p = popen(line, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p))
		assert_int_equal(buf_add_str(out, line, &e), 0);
	pclose(p);
}

static void need_word(const char *file, const char *line, const char *key, const char *word)
{
	char want[256];

	snprintf(want, sizeof(want), "%s%s ", key, word);
	if (!strstr(line, want))
		fail_msg("%s: ip says \"%s\", we say \"%s\"", file, line, want);
}

/* The same bytes read by ip(8): one line a route. */
static size_t compare_routes(const char *path, struct span all)
{
	auto_buf struct buf lines = {0};
	const struct nlmsghdr *h;
	size_t off = 0, n = 0;
	char *line, *save = NULL;

	run_ip("ip -N -o route showdump", path, &lines);
	line = lines.data ? strtok_r((char *)lines.data, "\n", &save) : NULL;
	while ((h = nl_msg_next(all, &off)) && h->nlmsg_type == RTM_NEWROUTE) {
		auto_row struct row r = {0};
		char number[32];

		decode(path, as_span(h), &r);
		if (!line)
			fail_msg("%s: ip shows fewer routes", path);
		need_word(path, line, "", text(&r, "dst"));
		if (value(&r, "gateway")->text)
			need_word(path, line, " via ", text(&r, "gateway"));
		if (value(&r, "prefsrc")->text)
			need_word(path, line, " src ", text(&r, "prefsrc"));
		if (value(&r, "priority")->num) {
			snprintf(number, sizeof(number), "%lld",
				 (long long)value(&r, "priority")->num);
			need_word(path, line, " metric ", number);
		}
		line = strtok_r(NULL, "\n", &save);
		n++;
	}
	if (line)
		fail_msg("%s: ip shows more: %s", path, line);
	return n;
}

static size_t compare_addresses(const char *path, struct span all)
{
	auto_buf struct buf out = {0};
	auto_json struct json *list = NULL;
	const struct json *info;
	const struct nlmsghdr *h;
	struct err e = ERR_INIT;
	size_t off = 0, n = 0;

	run_ip("ip -j addr showdump", path, &out);
	list = json_parse((char *)out.data, out.len, &e);
	info = json_get(json_at(list, 0), "addr_info");
	while ((h = nl_msg_next(all, &off)) && h->nlmsg_type == RTM_NEWADDR) {
		const struct json *ip = json_at(info, n++);
		auto_row struct row r = {0};
		int64_t len = -1, index = -1, life = -1;

		decode(path, as_span(h), &r);
		json_to_int(json_get(ip, "prefixlen"), &len, "", &e);
		json_to_int(json_get(ip, "index"), &index, "", &e);
		json_to_int(json_get(ip, "valid_life_time"), &life, "", &e);
		assert_string_equal(text(&r, "address"), json_str(json_get(ip, "local")));
		assert_int_equal(value(&r, "prefixlen")->num, len);
		assert_int_equal(value(&r, "ifindex")->num, index);
		assert_int_equal(value(&r, "valid_lft")->num, life);
		if (json_get(ip, "label"))
			assert_string_equal(text(&r, "label"), json_str(json_get(ip, "label")));
		if (json_get(ip, "address"))
			assert_string_equal(text(&r, "peer"), json_str(json_get(ip, "address")));
	}
	if (n != json_len(info))
		fail_msg("%s: %zu addresses, ip shows %zu", path, n, json_len(info));
	return n;
}

static size_t n_files, n_messages, n_compared;

static int corpus_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	static const char *const kinds[] = {"ifaddr-", "route-",    "route6-",
					    "rule-",   "netns-ct-", "netns-exp-"};
	const char *name = path + ftw->base;
	auto_buf struct buf file = {0};
	const struct nlmsghdr *h;
	struct err e = ERR_INIT;
	size_t i, off = 0;
	struct span all;

	for (i = 0; i < ARRAY_SIZE(kinds) && strncmp(name, kinds[i], strlen(kinds[i])); i++)
		;
	if (type != FTW_F || i == ARRAY_SIZE(kinds))
		return 0;
	if (io_read_file(AT_FDCWD, path, 1 << 20, &file, &e))
		fail_msg("%s", e.msg);
	all = buf_span(&file);
	if (i < 4 && all.len >= 4) /* the magic of ip-route(8) save */
		all = (struct span){all.data + 4, all.len - 4};
	n_files++;
	while ((h = nl_msg_next(all, &off))) {
		if (h->nlmsg_type == NLMSG_DONE)
			continue;
		check_message(path, as_span(h));
		n_messages++;
	}
	if (i == 0)
		n_compared += compare_addresses(path, all);
	else if (i < 3)
		n_compared += compare_routes(path, all);
	return 0;
}

static void test_corpus(void **state)
{
	const char *dir = corpus_dir();

	if (!dir) {
		print_message("skipped: no corpus\n");
		skip();
	}
	assert_int_equal(nftw(dir, corpus_file, 16, FTW_PHYS), 0);
	print_message("%zu files, %zu messages, %zu compared with ip\n", n_files, n_messages,
		      n_compared);
	assert_true(n_messages > n_files && n_compared > 100);
}

/* --- kinds from the uapi headers --- */

struct attr {
	uint16_t type, len;
	const char *bytes;
};

struct kind_case {
	const char *kind;
	struct attr attr[8];
	const char *json;
};

static const struct kind_case kind_cases[] = {
	{"vlan",
	 {{IFLA_VLAN_ID, 2, "\x4d\0"},
	  {IFLA_VLAN_FLAGS, 8, "\2\0\0\0\xff\xff\xff\xff"},
	  {IFLA_VLAN_PROTOCOL, 2, "\x88\xa8"},
	  {IFLA_VLAN_EGRESS_QOS, 12, "\x0c\0\1\0\5\0\0\0\6\0\0\0"}},
	 "{\"id\":77,\"flags\":{\"flags\":2,\"mask\":4294967295},\"protocol\":34984,"
	 "\"egress_qos\":[{\"from\":5,\"to\":6}]}"},
	{"ipvlan",
	 {{IFLA_IPVLAN_MODE, 2, "\1\0"}, {IFLA_IPVLAN_FLAGS, 2, "\1\0"}},
	 "{\"mode\":\"l3\",\"flags\":1}"},
	{"vrf", {{IFLA_VRF_TABLE, 4, "\xe9\3\0\0"}}, "{\"table\":1001}"},
	{"bond",
	 {{IFLA_BOND_MODE, 1, "\4"},
	  {IFLA_BOND_MIIMON, 4, "\x64\0\0\0"},
	  {IFLA_BOND_ARP_IP_TARGET, 16, "\x08\0\0\0\x0a\0\0\1\x08\0\1\0\x0a\0\0\2"},
	  {IFLA_BOND_AD_ACTOR_SYSTEM, 6, "\2\0\0\0\0\1"}},
	 "{\"mode\":\"802.3ad\",\"miimon\":100,\"arp_ip_target\":[\"10.0.0.1\",\"10.0.0.2\"],"
	 "\"ad_actor_system\":\"02:00:00:00:00:01\"}"},
	{"gre",
	 {{IFLA_GRE_LOCAL, 4, "\xc0\0\2\1"},
	  {IFLA_GRE_REMOTE, 4, "\xc0\0\2\2"},
	  {IFLA_GRE_IKEY, 4, "\0\0\0\7"},
	  {IFLA_GRE_IFLAGS, 2, "\x20\0"},
	  {IFLA_GRE_TTL, 1, "\x09"},
	  {IFLA_GRE_COLLECT_METADATA, 0, ""}},
	 "{\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.2\",\"ikey\":7,\"iflags\":8192,\"ttl\":9,"
	 "\"external\":true}"},
	{"sit",
	 {{IFLA_IPTUN_FLAGS, 2, "\0\1"},
	  {IFLA_IPTUN_6RD_PREFIX, 16, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0"},
	  {IFLA_IPTUN_6RD_PREFIXLEN, 2, "\x20\0"}},
	 "{\"flags\":1,\"6rd_prefix\":\"2001:db8::\",\"6rd_prefixlen\":32}"},
	{"ip6tnl",
	 {{IFLA_IPTUN_FLAGS, 4, "\1\0\0\0"}, {IFLA_IPTUN_PROTO, 1, "\x29"}},
	 "{\"flags\":1,\"proto\":41}"},
	{"geneve",
	 {{IFLA_GENEVE_ID, 4, "\x08\0\0\0"},
	  {IFLA_GENEVE_PORT, 2, "\x17\xc1"},
	  {IFLA_GENEVE_DF, 1, "\2"}},
	 "{\"id\":8,\"port\":6081,\"df\":\"inherit\"}"},
	{"xfrm", {{IFLA_XFRM_IF_ID, 4, "\x09\0\0\0"}}, "{\"if_id\":9}"},
	{"macsec",
	 {{IFLA_MACSEC_SCI, 8, "\2\0\0\0\0\1\0\x0b"}, {IFLA_MACSEC_ENCRYPT, 1, "\1"}},
	 "{\"sci\":\"144115188075921419\",\"encrypt\":true}"},
	{"a kind nobody knows", {{1, 4, "\1\2\3\4"}}, "\"0800010001020304\""},
	/* sizes that are not the row's, unknown numbers and a second attribute of one number */
	{"vrf",
	 {{IFLA_VRF_TABLE, 2, "\xe9\3"}, {99, 3, "\1\2\3"}, {99, 1, "\4"}},
	 "{\"table\":\"hex:e903\",\"attr_99\":\"010203\",\"attr_99#2\":\"04\"}"},
};

static void make_link(const struct kind_case *c, struct buf *msg)
{
	struct ifinfomsg ifi = {.ifi_index = 7};
	struct err e = ERR_INIT;
	size_t info, data, i;

	assert_int_equal(nl_msg_begin(msg, RTM_NEWLINK, 0, &ifi, sizeof(ifi), &e), 0);
	assert_int_equal(nl_put_str(msg, IFLA_IFNAME, "x0", &e), 0);
	assert_int_equal(nl_nest_begin(msg, IFLA_LINKINFO, &info, &e), 0);
	assert_int_equal(nl_put_str(msg, IFLA_INFO_KIND, c->kind, &e), 0);
	assert_int_equal(nl_nest_begin(msg, IFLA_INFO_DATA, &data, &e), 0);
	for (i = 0; i < ARRAY_SIZE(c->attr) && c->attr[i].bytes; i++)
		assert_int_equal(nl_put(msg, c->attr[i].type, c->attr[i].bytes, c->attr[i].len, &e),
				 0);
	assert_int_equal(nl_nest_end(msg, data, &e), 0);
	assert_int_equal(nl_nest_end(msg, info, &e), 0);
	((struct nlmsghdr *)(void *)msg->data)->nlmsg_len = (uint32_t)msg->len;
}

static void test_kinds(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kind_cases); i++) {
		const struct kind_case *c = &kind_cases[i];
		auto_buf struct buf msg = {0}, fresh = {0}, out = {0};
		auto_row struct row r = {0}, back = {0};
		struct err e = ERR_INIT;

		make_link(c, &msg);
		decode(c->kind, buf_span(&msg), &r);
		if (strcmp(text(&r, "attrs"), c->json))
			fail_msg("%s: %s instead of %s", c->kind, text(&r, "attrs"), c->json);
		check_message(c->kind, buf_span(&msg));
		/* from JSON alone to the same bytes */
		assert_int_equal(rta_row_new(RTA_TABLE_DEVICE, NULL, &fresh, &e), 0);
		struct rta_edit edits[] = {
			{"ifindex", *value(&r, "ifindex")},
			{"name", *value(&r, "name")},
			{"kind", *value(&r, "kind")},
			{"attrs", *value(&r, "attrs")},
		};
		if (rta_row_patch(RTA_TABLE_DEVICE, buf_span(&fresh), edits, 4, &out, &e))
			fail_msg("%s: %s", c->kind, e.msg);
		decode(c->kind, buf_span(&out), &back);
		assert_string_equal(text(&back, "attrs"), c->json);
	}
}

/* --- patches, read back by ip(8) --- */

struct patch_case {
	const char *column, *set; /* NULL: taken away */
	const char *ip;           /* what ip says of the route then */
};

/* 10.5.0.0/16 via 10.0.0.9 dev if7 metric 5 mtu 1400, one attribute nobody knows */
static const struct patch_case patch_cases[] = {
	{"dst", "10.6.0.0/15", "10.6.0.0/15 via 10.0.0.9 dev if7 metric 5 mtu 1400 "},
	{"dst", "default", "default via 10.0.0.9 dev if7 metric 5 mtu 1400 "},
	{"dst", "10.6.0.1", "10.6.0.1 via 10.0.0.9 dev if7 metric 5 mtu 1400 "},
	{"gateway", "10.0.0.77", "10.5.0.0/16 via 10.0.0.77 dev if7 metric 5 mtu 1400 "},
	{"gateway", NULL, "10.5.0.0/16 dev if7 metric 5 mtu 1400 "},
	{"priority", "77", "10.5.0.0/16 via 10.0.0.9 dev if7 metric 77 mtu 1400 "},
	{"prefsrc", "10.0.0.1", "10.5.0.0/16 via 10.0.0.9 dev if7 src 10.0.0.1 metric 5 mtu 1400 "},
	{"oif", "9", "10.5.0.0/16 via 10.0.0.9 dev if9 metric 5 mtu 1400 "},
	{"table", "1000", "10.5.0.0/16 via 10.0.0.9 dev if7 table 1000 metric 5 mtu 1400 "},
	{"metrics", "{\"mtu\":1300}", "10.5.0.0/16 via 10.0.0.9 dev if7 metric 5 mtu 1300 "},
	{"metrics", "{\"mtu\":1400,\"advmss\":1000}",
	 "10.5.0.0/16 via 10.0.0.9 dev if7 metric 5 mtu 1400 advmss 1000 "},
	{"metrics", NULL, "10.5.0.0/16 via 10.0.0.9 dev if7 metric 5 "},
	{"type", "7", "unreachable 10.5.0.0/16 via 10.0.0.9 dev if7 metric 5 mtu 1400 "},
	{"multipath", "[{\"oif\":3,\"weight\":4,\"gateway\":\"10.0.0.3\"},{\"oif\":4}]",
	 "10.5.0.0/16 via 10.0.0.9 dev if7 metric 5 mtu 1400 \\\tnexthop via 10.0.0.3 dev if3 "
	 "weight 4 \\\tnexthop dev if4 weight 1 "},
};

static void make_route(struct buf *msg)
{
	struct rtmsg rtm = {.rtm_family = AF_INET,
			    .rtm_dst_len = 16,
			    .rtm_table = RT_TABLE_MAIN,
			    .rtm_protocol = RTPROT_BOOT,
			    .rtm_type = RTN_UNICAST};
	struct err e = ERR_INIT;

	nl_msg_begin(msg, RTM_NEWROUTE, 0, &rtm, sizeof(rtm), &e);
	nl_put_u32(msg, RTA_TABLE, RT_TABLE_MAIN, &e);
	nl_put(msg, 555, "odd", 3, &e);
	nl_put_u32(msg, RTA_DST, htonl(0x0a050000), &e);
	nl_put_u32(msg, RTA_PRIORITY, 5, &e);
	/* without NLA_F_NESTED, as the kernel dumps it */
	nl_put(msg, RTA_METRICS, "\x08\0\2\0\x78\5\0\0", 8, &e);
	nl_put_u32(msg, RTA_GATEWAY, htonl(0x0a000009), &e);
	nl_put_u32(msg, RTA_OIF, 7, &e);
	((struct nlmsghdr *)(void *)msg->data)->nlmsg_len = (uint32_t)msg->len;
}

static struct rta_edit edit_of(const struct patch_case *c)
{
	char *end;
	long n = c->set ? strtol(c->set, &end, 10) : 0;
	struct rta_edit edit = {c->column, {RTA_VALUE_NULL, 0, NULL}};

	if (c->set && *c->set && !*end)
		edit.value = (struct rta_value){RTA_VALUE_INT, n, NULL};
	else if (c->set)
		edit.value = (struct rta_value){RTA_VALUE_TEXT, 0, c->set};
	return edit;
}

static void test_patch(void **state)
{
	char path[] = "/tmp/test_rta_XXXXXX";
	int fd = mkstemp(path);
	size_t i;

	assert_true(fd >= 0);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(patch_cases); i++) {
		const struct patch_case *c = &patch_cases[i];
		const struct rta_edit edit = edit_of(c);
		auto_buf struct buf msg = {0}, out = {0}, shown = {0};
		const uint16_t odd[] = {555, 0};
		struct err e = ERR_INIT;
		struct span kept;

		make_route(&msg);
		buf_add(&out, "\x24\x12\x31\x45", 4, &e);
		if (rta_row_patch(RTA_TABLE_ROUTE, buf_span(&msg), &edit, 1, &out, &e))
			fail_msg("%s: %s", c->column, e.msg);
		kept = rta_get((struct span){out.data + 4, out.len - 4}, odd);
		assert_int_equal(kept.len, 3);
		assert_memory_equal(kept.data, "odd", 3);
		assert_int_equal(io_write_file(AT_FDCWD, path, out.data, out.len, 0600, &e), 0);
		/* in a namespace without devices, so that indexes have no name */
		run_ip("unshare -n ip -o route showdump", path, &shown);
		if (!shown.len) {
			print_message("skipped: ip cannot be run here\n");
			break;
		}
		if (strncmp((char *)shown.data, c->ip, strlen(c->ip)))
			fail_msg("%s = %s: ip says %s, not %s", c->column, c->set ? c->set : "NULL",
				 (char *)shown.data, c->ip);
	}
	unlink(path);
}

struct bad_case {
	const char *column, *set;
	enum err_code code;
};

static const struct bad_case bad_cases[] = {
	{"dst", "10.0.0.0/33", ERR_FORMAT},
	{"dst", "2001:db8::/32", ERR_FORMAT},
	{"gateway", "10.0.0", ERR_FORMAT},
	{"gateway", "2001:db8::1", ERR_FORMAT},
	{"priority", "4294967296", ERR_RANGE},
	{"priority", "-1", ERR_RANGE},
	{"type", "256", ERR_RANGE},
	{"protocol", "x", ERR_FORMAT},
	{"metrics", "{\"mtu\":", ERR_FORMAT},
	{"metrics", "{\"mtuu\":1}", ERR_FORMAT},
	{"metrics", "{\"mtu\":4294967296}", ERR_RANGE},
	{"metrics", "{\"congctl\":\"a-name-that-is-too-long\"}", ERR_RANGE},
	{"metrics", "[]", ERR_FORMAT},
	{"multipath", "[{\"oif\":1,\"weight\":257}]", ERR_RANGE},
	{"multipath", "{}", ERR_FORMAT},
	{"other", "{\"attr_555\":\"0\"}", ERR_FORMAT},
	{"other", "{\"attr_99999\":\"00\"}", ERR_FORMAT},
	{"other", "7", ERR_FORMAT},
	{"nothing", "7", ERR_NOTFOUND},
};

static void test_bad_values(void **state)
{
	auto_buf struct buf msg = {0};
	size_t i;

	make_route(&msg);
	for (i = 0; i < ARRAY_SIZE(bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		const struct patch_case p = {c->column, c->set, NULL};
		const struct rta_edit edit = edit_of(&p);
		auto_buf struct buf out = {0};
		struct err e = ERR_INIT;

		if (!rta_row_patch(RTA_TABLE_ROUTE, buf_span(&msg), &edit, 1, &out, &e))
			fail_msg("%s = %s: accepted", c->column, c->set);
		if (e.code != c->code ||
		    (i + 1 < ARRAY_SIZE(bad_cases) && !strstr(e.msg, c->column)))
			fail_msg("%s = %s: %s", c->column, c->set, e.msg);
		assert_int_equal(out.len, 0);
	}
}

/* --- damage --- */

static void use_all(struct span msg)
{
	auto_buf struct buf out = {0};
	auto_row struct row r = {0};
	struct err e = ERR_INIT;

	rta_check(msg, &e);
	rta_row_decode(rta_table_of(msg), msg, keep, &r, &e);
	rta_json(msg, &out, &e);
	rta_print(msg, NULL, NULL, &out, &e);
	rta_filter(msg, RTA_FOR_CREATE, &out, &e);
	rta_filter(msg, RTA_FOR_SET, &out, &e);
	rta_diff(msg, msg, no_diff, NULL, &e);
}

/* Each message cut at each byte, and with each byte turned over. In memory of the exact size, for the
 * sanitizers. */
static void test_damage(void **state)
{
	struct buf msgs[ARRAY_SIZE(kind_cases) + 1];
	size_t i, j;

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < ARRAY_SIZE(kind_cases); i++)
		make_link(&kind_cases[i], &msgs[i]);
	make_route(&msgs[i]);
	for (i = 0; i < ARRAY_SIZE(msgs); i++) {
		for (j = 0; j < msgs[i].len; j++) {
			auto_free uint8_t *copy = malloc(msgs[i].len);
			auto_free uint8_t *cut = malloc(j + 1);
			struct err e = ERR_INIT;

			memcpy(cut, msgs[i].data, j);
			assert_int_equal(rta_check((struct span){cut, j}, &e), -1);
			use_all((struct span){cut, j});
			memcpy(copy, msgs[i].data, msgs[i].len);
			copy[j] = (uint8_t)~copy[j];
			use_all((struct span){copy, msgs[i].len});
		}
		buf_free(&msgs[i]);
	}
}

/* --- direct access --- */

static void test_put(void **state)
{
	static const uint16_t nest[] = {RTA_METRICS, RTAX_ADVMSS, 0};
	static const uint16_t mtu[] = {RTA_METRICS, RTAX_MTU, 0}, oif[] = {RTA_OIF, 0};
	auto_buf struct buf msg = {0};
	struct err e = ERR_INIT;

	make_route(&msg);
	assert_int_equal(rta_get_u32(buf_span(&msg), mtu, 0), 1400);
	assert_int_equal(rta_put_u32(&msg, nest, 1000, &e), 0);
	assert_int_equal(rta_put_u32(&msg, oif, 99, &e), 0);
	assert_int_equal(rta_check(buf_span(&msg), &e), 0);
	assert_int_equal(rta_get_u32(buf_span(&msg), nest, 0), 1000);
	assert_int_equal(rta_get_u32(buf_span(&msg), mtu, 0), 1400);
	assert_int_equal(rta_get_u32(buf_span(&msg), oif, 0), 99);
	assert_int_equal(rta_put(&msg, oif, NULL, 0, &e), 0);
	assert_null(rta_get(buf_span(&msg), oif).data);
	assert_int_equal(rta_get_u32(buf_span(&msg), oif, 5), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_patch),  cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_damage), cmocka_unit_test(test_put),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
