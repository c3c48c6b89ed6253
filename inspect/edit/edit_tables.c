#include "inspect/edit/edit_tables.h"

#include <string.h>

#include "base/cli.h"

/* An address with or without its length; with an index for the first. */
#define ADDRESS_KEY                                                                                \
	"(t.address = substr(:key, 1, instr(:key || '/', '/') - 1) AND (instr(:key, '/') = 0 OR "  \
	"t.address || '/' || t.prefixlen = :key))"
#define NETNS " netns {netns:netns}"

/* clang-format off */
const struct edit_table edit_tables[] = {
	{"socket", "socket sockets connection connections", NULL, NULL, EDIT_KEY_PLAIN,
	 "{family:family}/{type:type} {id:socket}[ ino {ino}]" NETNS},
	{"device", "device devices dev link", "devices", "t.name = :key", EDIT_KEY_PLAIN,
	 "{netns:netns}/{name}"},
	{"netns", "netns namespace namespaces", "namespaces",
	 "(t.name = :key OR 'ns' || t.ns_id = :key)", EDIT_KEY_PLAIN, "[{name}]"},
	{"address", "address addresses addr", "addresses", ADDRESS_KEY, EDIT_KEY_ADDRESS,
	 "{address}/{prefixlen} dev {ifindex:dev}" NETNS},
	{"route", "route routes", "routes", "t.dst = :key", EDIT_KEY_PREFIX,
	 "{type:rtype}{dst}[ via {gateway}][ via {via}][ dev {oif:dev}] table {table:table}" NETNS},
	{"rule", "rule rules", "rules", "t.priority = :key", EDIT_KEY_PLAIN,
	 "{family:family} {priority}:[ from {src}][ to {dst}][ lookup {table:table}]" NETNS},
	{"neighbour", "neighbour neighbours neigh fdb", "neighbours",
	 "(t.dst = :key OR t.lladdr = :key)", EDIT_KEY_ADDRESS,
	 "[{dst}][ lladdr {lladdr}] dev {ifindex:dev}" NETNS},
	{"nexthop", "nexthop nexthops", "nexthops", "t.nh_id = :key", EDIT_KEY_PLAIN,
	 "id {nh_id}[ via {gateway}][ dev {oif:dev}]" NETNS},
	{"traffic_control", "tc qdisc", "tc", "(t.what = :key OR t.kind = :key)", EDIT_KEY_PLAIN,
	 "{what}[ {kind}][ dev {ifindex:dev}]" NETNS},
	{"sysctl", "sysctl sysctls", "sysctls",
	 "(t.name = :key OR t.name = replace(:key, '.', '/'))", EDIT_KEY_PLAIN, "{name}" NETNS},
	{"firewall", "firewall ruleset", "firewall", "t.format = :key", EDIT_KEY_PLAIN,
	 "{format}" NETNS},
	{"conntrack", "conntrack", "conntrack", NULL, EDIT_KEY_PLAIN,
	 "{proto:proto}[ {src}][:{sport}] ->[ {dst}][:{dport}]" NETNS},
	{"task", "task tasks", "tasks", "(t.pid = :key OR t.comm = :key)", EDIT_KEY_PLAIN,
	 "[{comm}]({pid})"},
	{"thread", "thread threads", "threads", "t.tid = :key", EDIT_KEY_PLAIN, "[{comm}]({tid})"},
	{"fd", "fd fds descriptor", "fds", "t.fd = :key", EDIT_KEY_PLAIN,
	 "fd {fd} of files {files_id}"},
	{"nsid", "nsid nsids", "nsids", "t.value = :key", EDIT_KEY_PLAIN,
	 "{value} for {target:netns}" NETNS},
	{"userns", "userns", "userns", "t.ns_id = :key", EDIT_KEY_PLAIN, "userns {ns_id}"},
	{"tcp_stream", "tcp_stream stream", NULL, NULL, EDIT_KEY_PLAIN, "stream of ino {ino}"},
	{"socket_queue", "socket_queue queue", NULL, NULL, EDIT_KEY_PLAIN,
	 "{direction} queue[ of ino {ino}][ of file {file_id}], {length} bytes"},
	{"tun_file", "tun_file tun", NULL, NULL, EDIT_KEY_PLAIN, "tun[ {netdev}] file {file_id}"},
	{"ns_file", "ns_file nsfd", NULL, NULL, EDIT_KEY_PLAIN, "nsfs of ns{ns_id}, file {file_id}"},
	{"engine_file", "engine_file", NULL, "t.name = :key", EDIT_KEY_PLAIN, "{name}"},
	{"image", "image images", NULL, NULL, EDIT_KEY_PLAIN, "{name}"},
	{0},
};

/* Tables that share the key of a socket. */
static const struct edit_table families[] = {
	{"inet_socket", "", NULL, NULL, EDIT_KEY_PLAIN, "{socket:socket}"},
	{"unix_socket", "", NULL, NULL, EDIT_KEY_PLAIN, "{socket:socket}"},
	{"netlink_socket", "", NULL, NULL, EDIT_KEY_PLAIN, "{socket:socket}"},
	{"packet_socket", "", NULL, NULL, EDIT_KEY_PLAIN, "{socket:socket}"},
	{0},
};
/* clang-format on */

static const struct edit_table *by_name(const struct edit_table *t, const char *name)
{
	for (; t->name; t++)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}

const struct edit_table *edit_table_of(const char *name)
{
	const struct edit_table *t = by_name(edit_tables, name);

	return t ? t : by_name(families, name);
}

/* Is word one of the blank-separated list? */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; *list; list += strcspn(list, " "), list += *list == ' ')
		if (n && strcspn(list, " ") == n && !strncmp(list, word, n))
			return true;
	return false;
}

static const char *name_at(const void *arg, unsigned i)
{
	return edit_tables[i].name;
}

const struct edit_table *edit_table_find(const char *word, struct err *e)
{
	const char *near;
	auto_buf struct buf list = {0};

	for (const struct edit_table *t = edit_tables; t->name; t++)
		if (!strcmp(t->name, word) || has_word(t->words, word))
			return t;
	near = cli_nearest(word, name_at, NULL);
	if (near) {
		err_set(e, ERR_USAGE, "no kind of object '%s'; did you mean '%s'?", word, near);
		return NULL;
	}
	for (const struct edit_table *t = edit_tables; t->name; t++)
		if (buf_printf(&list, e, "%s%.*s", t == edit_tables ? "" : ", ",
			       (int)strcspn(t->words, " "), t->words))
			return NULL;
	err_set(e, ERR_USAGE, "no kind of object '%s'; there are: %s", word, list.data);
	return NULL;
}
