/* tree.c: nsimg tree: namespaces, their devices and addresses, and tasks in them, as a tree. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/colour.h"
#include "base/escape.h"
#include "inspect/commands.h"
#include "inspect/rows.h"
#include "inspect/tree_data.h"

/* A line of the tree. Children are kept in order. */
struct node {
	char *text;
	enum tone tone;
	struct node *child, *last, *next;
};

struct strokes {
	const char *branch, *corner, *line, *gap;
};

/* How lines are printed: on a terminal of width cells none is longer than LINES_MAX lines of it. */
struct look {
	struct strokes strokes;
	unsigned width; /* 0: no terminal */
	bool colour;
};
enum { LINES_MAX = 4, NAME_MAX_PAD = 32 };

static void node_free(struct node *n)
{
	while (n) {
		struct node *next = n->next;

		node_free(n->child);
		free(n->text);
		free(n);
		n = next;
	}
}
DEFINE_CLEANUP(node_cleanup_, struct node, node_free)
#define auto_node __attribute__((cleanup(node_cleanup_)))

/* A new line at the end of parent's (NULL: a root); text is a buf that is emptied. NULL with e set. */
static struct node *node_add(struct node *parent, struct buf *text, struct err *e)
{
	struct node *n = calloc(1, sizeof(*n));

	if (n)
		n->text = strdup(text->data ? (const char *)text->data : "");
	if (!n || !n->text) {
		free(n);
		err_set(e, ERR_NOMEM, "tree: out of memory");
		return NULL;
	}
	buf_reset(text);
	if (!parent)
		return n;
	if (parent->last)
		parent->last->next = n;
	else
		parent->child = n;
	parent->last = n;
	return n;
}

static const char *str_of(const struct json *o, const char *key)
{
	const char *s = json_str(json_get(o, key));

	return s ? s : "";
}

static long long num_of(const struct json *o, const char *key)
{
	struct err e = ERR_INIT;
	int64_t v = 0;

	return json_to_int(json_get(o, key), &v, key, &e) ? 0 : v;
}

static bool has(const struct json *o, const char *key)
{
	return json_kind(json_get(o, key)) != JSON_KIND_NULL;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* ---- devices ---- */

/* Widest name, with the indent of ports below their master, so that kinds line up. */
static int name_width(const struct json *devices)
{
	int width = 0;

	for (size_t i = 0; i < json_len(devices); i++) {
		const struct json *d = json_at(devices, i);
		const char *name = str_of(d, "name");
		int w = (int)table_text_width(name, strlen(name)) + (has(d, "master") ? 3 : 0);

		width = w > width && w <= NAME_MAX_PAD ? w : width;
	}
	return width;
}

static int device_text(const struct json *d, int width, struct buf *text, struct err *e)
{
	const struct json *addresses = json_get(d, "addresses");
	const char *name = str_of(d, "name"), *kind = str_of(d, "kind"), *peer = str_of(d, "peer");
	int pad = width - (int)table_text_width(name, strlen(name)) - (has(d, "master") ? 3 : 0);

	if (buf_printf(text, e, "%s%*s  %-9s", name, pad > 0 ? pad : 0, "", *kind ? kind : "-") ||
	    buf_add_str(text, strstr(str_of(d, "flags"), "UP") ? " up  " : " down", e))
		return -1;
	for (size_t i = 0; i < json_len(addresses); i++) {
		if (buf_printf(text, e, " %s", json_str(json_at(addresses, i))))
			return -1;
	}
	if (*peer && buf_printf(text, e, " %s %s", strcmp(kind, "veth") == 0 ? "peer" : "on", peer))
		return -1;
	while (text->len && text->data[text->len - 1] == ' ')
		text->data[--text->len] = 0;
	return 0;
}

/* Devices whose master is the named one ("": those without, or whose master is not there). */
static int add_devices(struct node *parent, const struct json *devices, const char *master,
		       int width, int depth, struct err *e)
{
	for (size_t i = 0; i < json_len(devices); i++) {
		const struct json *d = json_at(devices, i);
		auto_buf struct buf text = {0};
		struct node *n;

		if (strcmp(str_of(d, "master"), master) != 0)
			continue;
		n = device_text(d, width, &text, e) ? NULL : node_add(parent, &text, e);
		if (!n)
			return -1;
		/* a master may have one itself (a bond in a bridge); a broken image may have a circle */
		if (depth < 8 && *str_of(d, "name") &&
		    add_devices(n, devices, str_of(d, "name"), width, depth + 1, e))
			return -1;
	}
	return 0;
}

/* ---- tasks ---- */

static int add_socket_line(struct node *task, const struct json *s, struct err *e)
{
	auto_buf struct buf text = {0};
	struct node *n;

	if (buf_printf(&text, e, "fd %lld  %s", num_of(s, "fd"), str_of(s, "socket")))
		return -1;
	if (json_bool_of(json_get(s, "foreign")) &&
	    buf_printf(&text, e, "  [of netns %s]", str_of(s, "netns")))
		return -1;
	n = node_add(task, &text, e);
	if (n && json_bool_of(json_get(s, "foreign")))
		n->tone = TONE_WARN;
	return n ? 0 : -1;
}

static int add_tasks(struct node *parent, const struct json *tasks, bool all, struct err *e)
{
	for (size_t i = 0; i < json_len(tasks); i++) {
		const struct json *t = json_at(tasks, i), *sockets = json_get(t, "sockets");
		auto_buf struct buf text = {0};
		struct node *n;

		if (buf_printf(&text, e, "task %s (pid %lld)", str_of(t, "comm"),
			       num_of(t, "pid")) ||
		    (num_of(t, "threads") > 1 &&
		     buf_printf(&text, e, ", %lld threads", num_of(t, "threads"))) ||
		    (json_len(sockets) && buf_printf(&text, e, ", %zu socket%s", json_len(sockets),
						     plural(json_len(sockets)))))
			return -1;
		n = node_add(parent, &text, e);
		if (!n)
			return -1;
		for (size_t k = 0; k < json_len(sockets); k++) {
			const struct json *s = json_at(sockets, k);

			if ((all || json_bool_of(json_get(s, "foreign"))) &&
			    add_socket_line(n, s, e))
				return -1;
		}
	}
	return 0;
}

/* ---- what else holds a namespace ---- */

static int holders_text(const struct json *owners, struct buf *text, struct err *e)
{
	for (size_t i = 0; i < json_len(owners); i++) {
		const struct json *o = json_at(owners, i);

		if (buf_printf(text, e, "%s%s (pid %lld) fd %lld", i ? ", " : "  held by ",
			       str_of(o, "comm"), num_of(o, "pid"), num_of(o, "fd")))
			return -1;
	}
	return 0;
}

static int add_others(struct node *parent, const struct json *ns, struct err *e)
{
	const struct json *list = json_get(ns, "sockets");
	auto_buf struct buf text = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *s = json_at(list, i);

		if (buf_printf(&text, e, "socket %s", str_of(s, "socket")) ||
		    holders_text(json_get(s, "owners"), &text, e) || !node_add(parent, &text, e))
			return -1;
	}
	list = json_get(ns, "threads");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *t = json_at(list, i);

		if (buf_printf(&text, e, "thread %s (tid %lld of pid %lld)", str_of(t, "comm"),
			       num_of(t, "tid"), num_of(t, "pid")) ||
		    !node_add(parent, &text, e))
			return -1;
	}
	list = json_get(ns, "descriptors");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *d = json_at(list, i);

		if (buf_printf(&text, e, "descriptor of %s (pid %lld) fd %lld", str_of(d, "comm"),
			       num_of(d, "pid"), num_of(d, "fd")) ||
		    !node_add(parent, &text, e))
			return -1;
	}
	return 0;
}

static int add_word(struct buf *text, size_t n, const char *what, bool *first, struct err *e)
{
	if (!n)
		return 0;
	if (buf_printf(text, e, "%s%zu %s%s", *first ? ", held by " : ", ", n, what, plural(n)))
		return -1;
	*first = false;
	return 0;
}

static int held_text(const struct json *ns, struct buf *text, struct err *e)
{
	const struct json *pins = json_get(ns, "pins");
	bool first = true;

	if (add_word(text, json_len(json_get(ns, "tasks")), "task", &first, e) ||
	    add_word(text, json_len(json_get(ns, "threads")), "thread", &first, e) ||
	    add_word(text, json_len(json_get(ns, "sockets")), "socket", &first, e) ||
	    add_word(text, json_len(json_get(ns, "descriptors")), "descriptor", &first, e))
		return -1;
	for (size_t i = 0; i < json_len(pins); i++) {
		const char *pin = json_str(json_at(pins, i));

		if (buf_printf(text, e, "%s%s", first ? ", held by " : ", ", pin ? pin : "?"))
			return -1;
		first = false;
	}
	return 0;
}

static int add_netns(struct node *parent, const struct json *ns, bool all, struct err *e)
{
	const struct json *devices = json_get(ns, "devices");
	auto_buf struct buf text = {0};
	struct node *n;

	if (buf_printf(&text, e, "netns %s", str_of(ns, "name")) ||
	    (has(ns, "ino") && buf_printf(&text, e, " (net:[%lld])", num_of(ns, "ino"))) ||
	    (json_bool_of(json_get(ns, "external")) && buf_add_str(&text, ", external", e)) ||
	    (json_bool_of(json_get(ns, "caller")) && buf_add_str(&text, ", the dumper's own", e)) ||
	    (has(ns, "ext_key") && buf_printf(&text, e, ", key %s", str_of(ns, "ext_key"))) ||
	    held_text(ns, &text, e))
		return -1;
	n = node_add(parent, &text, e);
	if (n)
		n->tone = TONE_NAME;
	if (!n || add_devices(n, devices, "", name_width(devices), 0, e) ||
	    add_tasks(n, json_get(ns, "tasks"), all, e))
		return -1;
	return add_others(n, ns, e);
}

/* ---- user namespaces ---- */

/* Is there a user namespace of the image with this id? */
static bool is_userns(const struct json *doc, const struct json *id)
{
	const struct json *list = json_get(doc, "userns");

	for (size_t i = 0; json_kind(id) == JSON_KIND_INT && i < json_len(list); i++) {
		const struct json *u = json_at(list, i);

		if (!json_bool_of(json_get(u, "external")) && json_same(json_get(u, "ns_id"), id))
			return true;
	}
	return false;
}

/* Does an object with this owner (or parent) hang below the user namespace id (NULL: at the top)? */
static bool is_below(const struct json *doc, const struct json *owner, const struct json *id)
{
	return id ? json_same(owner, id) : !is_userns(doc, owner);
}

static int userns_text(const struct json *u, struct buf *text, struct err *e)
{
	const struct json *map = json_get(u, "uid_map");

	if (buf_printf(text, e, "userns %lld", num_of(u, "ns_id")) ||
	    (has(u, "owner_uid") &&
	     buf_printf(text, e, ", owner uid %lld", num_of(u, "owner_uid"))))
		return -1;
	for (size_t i = 0; i < json_len(map); i++) {
		if (buf_add_str(text, i ? " " : ", uid map ", e) ||
		    json_print(json_at(map, i), false, text, e))
			return -1;
	}
	return 0;
}

static int add_level(struct node *parent, const struct json *doc, const struct json *id, bool all,
		     int depth, struct err *e)
{
	const struct json *netns = json_get(doc, "netns"), *userns = json_get(doc, "userns");

	for (size_t i = 0; i < json_len(netns); i++) {
		const struct json *ns = json_at(netns, i);

		if (is_below(doc, json_get(ns, "owner"), id) && add_netns(parent, ns, all, e))
			return -1;
	}
	for (size_t i = 0; i < json_len(userns); i++) {
		const struct json *u = json_at(userns, i);
		auto_buf struct buf text = {0};
		struct node *n;

		/* the kernel nests user namespaces 32 deep (user_namespaces(7)) */
		if (depth > 32 || json_bool_of(json_get(u, "external")) ||
		    !is_below(doc, json_get(u, "parent"), id))
			continue;
		n = userns_text(u, &text, e) ? NULL : node_add(parent, &text, e);
		if (!n || add_level(n, doc, json_get(u, "ns_id"), all, depth + 1, e))
			return -1;
	}
	return 0;
}

/* ---- printing ---- */

static bool is_utf8_locale(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
	}
	return false;
}

static int print_line(const struct node *n, const struct look *look, FILE *out, struct err *e)
{
	auto_buf struct buf text = {0};
	enum tone tone = look->colour ? n->tone : TONE_NONE;
	const char *s;
	size_t len, max = (size_t)look->width * LINES_MAX;

	if (escape_show(&text, n->text, strlen(n->text), e))
		return -1;
	s = (const char *)text.data;
	len = text.len;
	if (max && table_text_width(s, len) > max)
		len = table_cut_at(s, len, max - 1);
	fprintf(out, "%s%.*s%s%s\n", colour_begin(tone), (int)len, s,
		len < text.len ? "\u2026" : "", colour_end(tone));
	return 0;
}

/* before: what lines of n's children begin with; its length is restored. */
static int print_nodes(const struct node *n, const struct look *look, struct buf *before, FILE *out,
		       struct err *e)
{
	const struct strokes *s = &look->strokes;

	for (; n; n = n->next) {
		size_t len = before->len;

		fprintf(out, "%s%s", (const char *)before->data, n->next ? s->branch : s->corner);
		if (print_line(n, look, out, e) ||
		    buf_add_str(before, n->next ? s->line : s->gap, e) ||
		    print_nodes(n->child, look, before, out, e))
			return -1;
		before->len = len;
		before->data[len] = 0;
	}
	return 0;
}

static int print_tree(const struct json *doc, bool all, FILE *out, struct err *e)
{
	static const struct strokes utf8 = {"├─ ", "└─ ", "│  ", "   "};
	static const struct strokes ascii = {"|- ", "`- ", "|  ", "   "};
	const struct look look = {is_utf8_locale() ? utf8 : ascii, table_terminal_width(out),
				  colour_wanted(out)};
	const struct json *image = json_get(doc, "image");
	auto_buf struct buf text = {0}, before = {0};
	auto_node struct node *root = NULL;

	if (buf_printf(&text, e, "image %lld %s (%s%s%s)", num_of(image, "id"),
		       str_of(image, "name"), str_of(image, "format"),
		       has(image, "host") ? ", host " : "", str_of(image, "host")) ||
	    (has(image, "dumped") && buf_printf(&text, e, ", dumped %s", str_of(image, "dumped"))))
		return -1;
	root = node_add(NULL, &text, e);
	if (!root || add_level(root, doc, NULL, all, 0, e) || buf_reserve(&before, 1, e) ||
	    print_line(root, &look, out, e))
		return -1;
	return print_nodes(root->child, &look, &before, out, e);
}

static int tree_run(struct cli *c, struct err *e)
{
	int64_t image;
	auto_db struct db *db = rows_open(c, 0, &image, e);
	auto_json struct json *doc = NULL;
	auto_buf struct buf text = {0};
	int64_t netns = 0;

	if (!db || (cli_has(c, "netns") && rows_netns(db, image, cli_value(c, "netns"), &netns, e)))
		return -1;
	doc = tree_data(db, image, netns, e);
	if (!doc)
		return -1;
	if (!cli_json(c))
		return print_tree(doc, cli_has(c, "sockets"), cli_out(c), e);
	if (json_print(doc, true, &text, e))
		return -1;
	fprintf(cli_out(c), "%s\n", (const char *)text.data);
	return 0;
}

static const struct cli_opt tree_opts[] = {
	{"sockets", 's', NULL, "list every socket of each task, not only those of other namespaces",
	 false},
	{"netns", 'N', "NAME", "only this namespace, by name or number", false},
	{0},
};

const struct cmd cmd_tree = {
	.name = "tree",
	.synopsis = "DB",
	.summary = "namespaces with their devices, addresses and tasks, as a tree",
	.run = tree_run,
	.opts = tree_opts,
	.flags = CMD_DATABASE | CMD_JSON | CMD_IMAGE,
	.min_args = 1,
	.max_args = 1,
};
