/* drop.c: nsimg drop: objects, with what hangs off them. */
#include "inspect/edit/drop.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/commands.h"

typedef int drop_fn(struct edit *x, int64_t id, const struct drop_how *how, struct err *e);

static int delete_row(struct edit *x, const char *table, int64_t id, struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, id}, {0}};
	char sql[80];

	snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE id = :id", table);
	return edit_exec(x, sql, binds, e);
}

/* A value in a list of a record has its place there, so it cannot be left out. */
static int drop_sysctl(struct edit *x, int64_t id, const struct drop_how *how, struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, id}, {0}};
	auto_buf struct buf name = {0};
	bool found;
	int64_t n;

	if (edit_number(
		    x,
		    "SELECT 1 FROM sysctl s JOIN image_file f ON f.id = s.file WHERE s.id = :id "
		    "AND s.path <> 'value'",
		    binds, &n, &found, e) ||
	    edit_name(x, "sysctl", id, &name, e))
		return -1;
	if (found)
		return edit_left(
			x, e, (const char *)name.data,
			"CRIU keeps it in a list by its place, so it has a value: nsimg set "
			"changes that");
	return delete_row(x, "sysctl", id, e);
}

/* What can be dropped; without a function just its row goes. */
static const struct {
	const char *table;
	drop_fn *fn;
} kinds[] = {
	{"socket", drop_socket},
	{"device", drop_device},
	{"netns", drop_netns},
	{"address", drop_address},
	{"route", NULL},
	{"rule", NULL},
	{"neighbour", NULL},
	{"nexthop", drop_nexthop},
	{"traffic_control", NULL},
	{"sysctl", drop_sysctl},
	{"conntrack", NULL},
	{"firewall", NULL},
	{"fd", NULL},
};

int drop_edit(struct edit *x, const struct cli *c, struct err *e)
{
	auto_edit_ids struct edit_ids ids = {0};
	struct drop_how how = {.peers = cli_has(c, "peers"),
			       .accepted = cli_has(c, "accepted"),
			       .sockets = cli_has(c, "sockets")};
	const struct edit_table *t;
	unsigned n;
	const char *const *words = edit_words(c, 1, &n);

	t = edit_find(x, words, n, false, &ids, e);
	if (!t)
		return -1;
	edit_ids_sort(&ids);
	how.going = strcmp(t->name, "socket") != 0 ? NULL : &ids;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].table, t->name) != 0)
			continue;
		for (size_t j = 0; j < ids.n; j++)
			if (kinds[i].fn ? kinds[i].fn(x, ids.id[j], &how, e)
					: delete_row(x, t->name, ids.id[j], e))
				return -1;
		return 0;
	}
	return err_set(e, ERR_UNSUPPORTED,
		       "a %s cannot be dropped; what can: socket, device, netns, address, route, "
		       "rule, neighbour, nexthop, tc, sysctl, conntrack, firewall, fd",
		       t->name);
}

static const struct cli_opt options[] = {
	{"peers", 0, NULL, "of a socket: its other ends in the image as well", false},
	{"accepted", 0, NULL, "of a listener: connections that came through it as well", false},
	{"sockets", 0, NULL, "of a device or address: sockets bound to it as well", false},
	EDIT_OPTIONS,
	{0},
};

const struct cmd cmd_drop = {
	EDIT_CMD,
	.name = "drop",
	.synopsis = "DB OBJECT...",
	.summary = "take sockets, devices, namespaces, addresses, routes away with all that hangs "
		   "off them",
	.opts = options,
	.min_args = 2,
	.max_args = CLI_ANY_ARGS,
};
