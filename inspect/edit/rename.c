/* rename.c: nsimg rename: another name for a device or a namespace, in every place where it stands. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "inspect/commands.h"
#include "inspect/edit/edit.h"
#include "inspect/edit/fwtext.h"
#include "inspect/edit/jsontext.h"
#include "inspect/edit/places.h"

enum { NAME_MAX_BYTES = 15 }; /* IFNAMSIZ - 1 */

struct rename {
	struct edit *x;
	int64_t device, netns;
	char old[200];   /* as the column has it: escaped */
	const char *new; /* the same */
	struct edit_labels *labels;
	const struct place_row *row;
};

static int left(struct rename *r, const char *text, size_t n, const char *reason, struct err *e)
{
	auto_buf struct buf label = {0};

	if (!r->labels && !(r->labels = edit_labels_new(edit_db(r->x), 0, e)))
		return -1;
	if (edit_label(r->labels, r->row->t->table, r->row->key, NULL, &label, e))
		return -1;
	return edit_left(r->x, e, (const char *)label.data, "'%.*s': %s", (int)(n < 100 ? n : 100),
			 text, reason);
}

static bool is_old(const struct rename *r, const char *text, size_t n)
{
	return strlen(r->old) == n && !memcmp(r->old, text, n);
}

/* ---- rulesets ---- */

/* "eth*": does it stand for one of the names and not for the other? */
static int pattern(struct rename *r, const char *text, size_t n, struct err *e)
{
	bool has_old = n && !strncmp(r->old, text, n - 1),
	     has_new = n && !strncmp(r->new, text, n - 1);

	if (has_old == has_new)
		return 0;
	return left(r, text, n,
		    has_old ? "a pattern that stands for the old name and not for the new one"
			    : "a pattern that stands for the new name and not for the old one",
		    e);
}

static bool has_word(const char *text, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t at = 0; at + len <= n; at++)
		if (!memcmp(text + at, word, len) && (!at || strchr(" \t:=,(\"'", text[at - 1])) &&
		    (at + len == n || strchr(" \t:=,)\"'", text[at + len])))
			return true;
	return false;
}

/* In a ruleset a name stands between quotes, and a star (nft) or plus (iptables) at its end makes a pattern of it. */
static int check_new(const struct rename *r, struct err *e)
{
	size_t n = strlen(r->new);

	if (!strpbrk(r->new, "\"\\") && n && !strchr("*+", r->new[n - 1]))
		return 0;
	return err_set(
		e, ERR_CONFLICT,
		"a ruleset names %s, and '%s' would not be that name there: take one without "
		"quotes, backslash, and star or plus at its end",
		r->old, r->new);
}

static int ruleset_word(void *arg, enum fw_kind kind, const char *word, size_t n, struct buf *out,
			struct err *e)
{
	struct rename *r = arg;

	switch (kind) {
	case FW_DEVICE:
		if (!is_old(r, word, n))
			return 0;
		return check_new(r, e) || buf_add_str(out, r->new, e) ? -1 : 1;
	case FW_PATTERN:
		return pattern(r, word, n, e);
	case FW_COMMENT:
		return has_word(word, n, r->old)
			       ? left(r, word, n, "inside a comment or other text", e)
			       : 0;
	default:
		return 0;
	}
}

/* ---- JSON ---- */

/* As it has to stand between the quotes of JSON: the backslashes of its escapes are doubled. */
static int json_quoted(const char *text, struct buf *out, struct err *e)
{
	for (; *text; text++)
		if ((*text == '\\' && buf_add_str(out, "\\", e)) || buf_add(out, text, 1, e))
			return -1;
	return 0;
}

/* A filter of traffic control may be for packets that came in through a device ("indev"). */
static int tc_string(void *arg, struct span key, const char *text, size_t n, struct buf *out,
		     struct err *e)
{
	const struct rename *r = arg;

	if (key.len != 5 || memcmp(key.data, "indev", 5) != 0 || !is_old(r, text, n))
		return 0;
	return json_quoted(r->new, out, e) ? -1 : 1;
}

static int place(void *arg, const struct place_row *row, unsigned i, struct buf *out, struct err *e)
{
	struct rename *r = arg;
	const char *text = query_text(row->q, 2 + (int)i);

	r->row = row;
	if (row->t->place[i].kind == PLACE_RULESET)
		return fwtext_edit(query_text(row->q, 2 + (int)row->n_places), text, strlen(text),
				   ruleset_word, r, out, e);
	if (!strcmp(row->t->table, "traffic_control"))
		return jsontext_edit(text, strlen(text), tc_string, r, out, e);
	return 0;
}

static int rename_in_texts(struct rename *r, struct err *e)
{
	const struct place_scope scope = {edit_db(r->x), edit_image(r->x), &r->netns, 1};

	for (const struct place_table *t = place_tables; t->table; t++)
		if ((!strcmp(t->table, "firewall") || !strcmp(t->table, "traffic_control")) &&
		    places_walk(&scope, t, true, place, r, e))
			return -1;
	return 0;
}

/* ---- columns ---- */

/* Where the name is a value of its own, or the beginning of one: the triggers of the database see to that, so that
 * it is the same for whoever renames a device with an UPDATE. */
static int rename_in_columns(struct rename *r, struct err *e)
{
	const struct edit_bind device[] = {{"new", r->new, 0}, {"id", NULL, r->device}, {0}};

	return edit_exec(r->x, "UPDATE device SET name = :new WHERE id = :id", device, e);
}

/* ---- what stays ---- */

static const struct {
	const char *sql, *reason;
} stays[] = {
	{"SELECT address || ' label ' || label FROM address WHERE netns = :netns AND substr(label, "
	 "1, "
	 "length(:old) + 1) = :old || ':' AND :device > 0",
	 "with the new name the label would have more than 15 bytes"},
	{"SELECT 'alias ' || alias FROM device WHERE id = :device AND instr(alias, :old) > 0 AND "
	 ":netns > 0",
	 "an alias is text of the user"},
	{"SELECT 'peer of ' || d.name FROM device d WHERE d.id = :device AND d.kind = 'veth' AND "
	 "d.peer_netns IS NULL AND :netns > 0 AND length(:old) > 0 AND NOT EXISTS (SELECT 1 FROM "
	 "device p "
	 "WHERE p.netns = d.netns AND p.ifindex = d.link AND d.link_netnsid IS NULL)",
	 "it is outside of the image and keeps its name; criu restore knows this end by its new "
	 "name "
	 "(--external veth[NAME]:OUTSIDE)"},
	{"SELECT e.name FROM engine_file e JOIN device d ON d.image = e.image WHERE d.id = :device "
	 "AND "
	 "instr(e.content, '\"' || :old || '\"') > 0 AND :netns > 0 AND EXISTS (SELECT 1 FROM "
	 "netns n JOIN "
	 "image i ON i.id = n.image WHERE n.id = d.netns AND n.ns_id = i.root_ns_id)",
	 "the container engine gives its device that name itself when it restores"},
};

static int say_what_stays(struct rename *r, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(stays); i++) {
		auto_query struct query *q = query_new(edit_db(r->x), stays[i].sql, e);
		int rc;

		if (!q || query_bind_int(q, "netns", r->netns, e) ||
		    query_bind_int(q, "device", r->device, e) ||
		    query_bind_text(q, "old", r->old, e))
			return -1;
		while ((rc = query_next(q, e)) == 1)
			if (edit_left(r->x, e, query_text(q, 0), "%s", stays[i].reason))
				return -1;
		if (rc)
			return -1;
	}
	return 0;
}

/* ---- devices ---- */

static int check_bytes(const char *new, struct err *e)
{
	/* dev_valid_name() in net/core/dev.c; isspace() has these, and a percent sign makes a template */
	if (*new &&strlen(new) <= NAME_MAX_BYTES && !strpbrk(new, "/: \t\n\v\f\r\xa0\\%") &&
	    strcmp(new, ".") != 0 && strcmp(new, "..") != 0)
		return 0;
	return err_set(e, ERR_USAGE,
		       "'%s' is no name of a device: 1 to %d bytes without blank, slash, colon, "
		       "percent sign",
		       new, NAME_MAX_BYTES);
}

static int check_name(struct rename *r, struct err *e)
{
	const struct edit_bind binds[] = {{"netns", NULL, r->netns}, {"new", r->new, 0}, {0}};
	int64_t id;
	bool found;

	/* net/ipv4/devinet.c sysctl_dev_name_is_allowed(): they are folders of sysctls */
	if (!strcmp(r->new, "all") || !strcmp(r->new, "default"))
		return err_set(e, ERR_USAGE,
			       "'%s' is no name of a device: the kernel has sysctls of that name",
			       r->new);
	if (!strcmp(r->new, r->old))
		return err_set(e, ERR_USAGE, "the device is called %s already", r->old);
	/* names and other names are one name space (net/core/dev.c netdev_name_in_use) */
	if (edit_number(r->x,
			"SELECT id FROM device WHERE netns = :netns AND (name = :new OR EXISTS "
			"(SELECT 1 "
			"FROM json_each(coalesce(altnames, '[]')) WHERE value = :new)) LIMIT 1",
			binds, &id, &found, e))
		return -1;
	if (!found)
		return 0;
	return err_set(e, ERR_CONFLICT,
		       id == r->device ? "'%s' is another name (altname) of this device"
				       : "another device of the namespace is called '%s'",
		       r->new);
}

static int read_device(struct rename *r, struct err *e)
{
	auto_query struct query *q =
		query_new(edit_db(r->x), "SELECT netns, name FROM device WHERE id = :id", e);
	int n;

	if (!q || query_bind_int(q, "id", r->device, e) || query_next(q, e) < 0)
		return -1;
	r->netns = query_int(q, 0);
	n = snprintf(r->old, sizeof(r->old), "%s", query_text(q, 1) ? query_text(q, 1) : "");
	return n < 0 || n >= (int)sizeof(r->old)
		       ? err_set(e, ERR_RANGE, "the name of the device has %d bytes", n)
		       : 0;
}

static int rename_device(struct edit *x, const char *name, const char *new, struct err *e)
{
	struct rename r = {.x = x};
	auto_buf struct buf text = {0};
	int rc;

	if (check_bytes(new, e) || escape_add(&text, new, strlen(new), e))
		return -1;
	r.new = (const char *)text.data;
	if (edit_find_device(x, name, &r.device, e) || read_device(&r, e) || check_name(&r, e))
		return -1;
	if (!strcmp(r.old, "lo"))
		return err_set(e, ERR_USAGE, "lo is made by the kernel under that name");
	rc = rename_in_columns(&r, e) || rename_in_texts(&r, e) || say_what_stays(&r, e) ? -1 : 0;
	edit_labels_free(r.labels);
	return rc;
}

/* ---- namespaces ---- */

struct pins {
	const char *old, *new;
};

static int pin(void *arg, struct span key, const char *text, size_t n, struct buf *out,
	       struct err *e)
{
	const struct pins *p = arg;
	size_t len = strlen(p->old);

	(void)key;
	if (n <= len || text[n - len - 1] != '/' || memcmp(text + n - len, p->old, len) != 0)
		return 0;
	return buf_add(out, text, n - len, e) || buf_add_str(out, p->new, e) ? -1 : 1;
}

static int rename_pins(struct edit *x, int64_t netns, const char *new, struct err *e)
{
	auto_query struct query *q =
		query_new(edit_db(x), "SELECT pins, name FROM netns WHERE id = :id", e);
	auto_buf struct buf pins = {0};
	struct edit_bind binds[] = {{"id", NULL, netns}, {"name", new, 0}, {"pins", NULL, 0}, {0}};
	const char *text;
	int rc;

	if (!q || query_bind_int(q, "id", netns, e) || query_next(q, e) < 0)
		return -1;
	text = query_text(q, 0);
	rc = jsontext_edit(text, strlen(text), pin,
			   &(struct pins){query_text(q, 1) ? query_text(q, 1) : "", new}, &pins, e);
	if (rc < 0)
		return -1;
	/* a name that no path gives would not come out of the image again */
	if (!rc && !strcmp(text, "[]")) {
		buf_reset(&pins);
		if (buf_printf(&pins, e, "[\"/run/netns/%s\"]", new))
			return -1;
	}
	binds[2].text = (const char *)pins.data;
	return edit_exec(x, "UPDATE netns SET name = :name, pins = :pins WHERE id = :id", binds, e);
}

/* A container's own configuration has the path of its namespace. */
static int say_paths(struct edit *x, int64_t netns, struct err *e)
{
	const struct edit_bind binds[] = {{"id", NULL, netns}, {0}};
	auto_edit_ids struct edit_ids ids = {0};
	auto_buf struct buf name = {0};

	if (edit_ids_query(
		    x,
		    "SELECT f.id FROM engine_file f JOIN netns n ON n.image = f.image WHERE "
		    "n.id = :id AND n.name <> '' AND instr(f.content, '/' || n.name || '\"') > 0",
		    binds, &ids, e))
		return -1;
	for (size_t i = 0; i < ids.n; i++)
		if (edit_name(x, "engine_file", ids.id[i], &name, e) ||
		    edit_left(x, e, (const char *)name.data,
			      "has the path of the namespace: the container engine makes a new one "
			      "when "
			      "it restores"))
			return -1;
	return 0;
}

static int rename_netns(struct edit *x, const char *name, const char *new, struct err *e)
{
	const struct edit_bind binds[] = {{"image", NULL, edit_image(x)}, {"new", new, 0}, {0}};
	int64_t netns, other;
	bool found;

	if (edit_find_netns(x, name, &netns, e))
		return -1;
	if (!*new || strlen(new) > 200 || strpbrk(new, "/\"\\") || !strcmp(new, ".") ||
	    !strcmp(new, ".."))
		return err_set(e, ERR_USAGE,
			       "'%s' is no name of a namespace: it becomes a file, as of ip netns",
			       new);
	if (!escape_is_canonical(new, strlen(new)))
		return err_set(e, ERR_USAGE,
			       "control characters, or no UTF-8, in the name of a namespace");
	if (edit_number(x,
			"SELECT id FROM netns WHERE image = :image AND (name = :new OR 'ns' || "
			"ns_id = :new)",
			binds, &other, &found, e))
		return -1;
	if (found)
		return err_set(e, ERR_CONFLICT,
			       other == netns ? "the namespace is called '%s' already"
					      : "another namespace is called '%s'",
			       new);
	return say_paths(x, netns, e) || rename_pins(x, netns, new, e) ? -1 : 0;
}

/* ---- the command ---- */

static const struct what {
	const char *word;
	int (*rename)(struct edit *x, const char *name, const char *new, struct err *e);
} whats[] = {
	{"device", rename_device}, {"netns", rename_netns},     {"dev", rename_device},
	{"link", rename_device},   {"namespace", rename_netns},
};

static const char *what_at(const void *arg, unsigned i)
{
	(void)arg;
	return i < ARRAY_SIZE(whats) ? whats[i].word : NULL;
}

int rename_edit(struct edit *x, const struct cli *c, struct err *e)
{
	const char *word = cli_arg(c, 1), *near;

	for (size_t i = 0; i < ARRAY_SIZE(whats); i++)
		if (!strcmp(whats[i].word, word))
			return whats[i].rename(x, cli_arg(c, 2), cli_arg(c, 3), e);
	near = cli_nearest(word, what_at, NULL);
	return err_set(e, ERR_USAGE, "rename what? 'device' or 'netns', not '%s'%s%s%s", word,
		       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static const struct cli_opt options[] = {EDIT_OPTIONS, {0}};

const struct cmd cmd_rename = {
	EDIT_CMD,
	.name = "rename",
	.synopsis = "DB device|netns [NETNS/]OLD NEW",
	.summary = "give a device or a namespace another name, everywhere",
	.opts = options,
	.min_args = 4,
	.max_args = 4,
};
