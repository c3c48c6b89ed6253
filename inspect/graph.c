/* graph.c: nsimg graph, and the graph in the languages of Graphviz and Mermaid. */
#include "inspect/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cli.h"
#include "base/escape.h"
#include "base/run.h"
#include "base/table.h"
#include "inspect/commands.h"
#include "inspect/rows.h"

typedef int quote_fn(struct buf *out, const char *text, struct err *e);

static const char *str_of(const struct json *o, const char *key)
{
	const char *s = json_str(json_get(o, key));

	return s ? s : "";
}

static int64_t num_of(const struct json *o, const char *key)
{
	struct err e = ERR_INIT;
	int64_t v = 0;

	return json_to_int(json_get(o, key), &v, key, &e) ? 0 : v;
}

static bool is_set(const struct json *o, const char *key)
{
	return json_bool_of(json_get(o, key));
}

/* ---- names ---- */

/* Bytes of the first GRAPH_TEXT cells of a text. */
static size_t cut(const char *s, size_t n)
{
	size_t at = 0, cells = 0;

	while (at < n && cells < GRAPH_TEXT) {
		unsigned cp = 0;
		size_t k = escape_utf8(s + at, n - at, &cp);

		k = k ? k : 1;
		cells += table_text_width(s + at, k);
		at += k;
	}
	return at;
}

/* A name as people see it, cut, in the quoting of a language. */
static int put_name(struct buf *out, const char *name, quote_fn *quote, struct err *e)
{
	auto_buf struct buf shown = {0};
	size_t n = cut(name, strlen(name));

	if (escape_show(&shown, name, n, e) || (name[n] && buf_add_str(&shown, "\u2026", e)))
		return -1;
	return quote(out, (const char *)shown.data, e);
}

/* In a quoted string of dot: a backslash begins an escape, an ampersand an HTML entity. */
static int quote_dot(struct buf *out, const char *text, struct err *e)
{
	for (; *text; text++) {
		const char *as = *text == '"'    ? "\\\""
				 : *text == '\\' ? "\\\\"
				 : *text == '&'  ? "&amp;"
						 : NULL;

		if (as ? buf_add_str(out, as, e) : buf_add(out, text, 1, e))
			return -1;
	}
	return 0;
}

/* In a quoted string of Mermaid: all that may mean something to it, to Markdown or to HTML is #NUMBER; */
static int quote_mermaid(struct buf *out, const char *text, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    " .:/,@=+()-";

	for (; *text; text++) {
		bool as_is = (unsigned char)*text >= 0x80 || strchr(plain, *text);

		if (as_is ? buf_add(out, text, 1, e) : buf_printf(out, e, "#%d;", *text))
			return -1;
	}
	return 0;
}

/* ---- labels: lines, each ended by what the language has for it ---- */

struct lang {
	quote_fn *quote;
	const char *line; /* ends a line of a label */
};

static int put_line(struct buf *out, const struct lang *l, const char *before, const char *name,
		    const char *after, struct err *e)
{
	return l->quote(out, before, e) || put_name(out, name, l->quote, e) ||
			       l->quote(out, after, e) || buf_add_str(out, l->line, e)
		       ? -1
		       : 0;
}

static int device_label(const struct json *d, const struct lang *l, struct buf *out, struct err *e)
{
	const struct json *list = json_get(d, "addresses");
	const char *kind = str_of(d, "kind");
	char rest[64];

	if (put_name(out, str_of(d, "name"), l->quote, e) ||
	    (*kind && (l->quote(out, " (", e) || put_name(out, kind, l->quote, e))) ||
	    put_line(out, l, *kind ? ")" : "", "", is_set(d, "up") ? "" : " down", e))
		return -1;
	if (json_kind(json_get(d, "vni")) != JSON_KIND_NULL) {
		snprintf(rest, sizeof(rest), "vni %lld", (long long)num_of(d, "vni"));
		if (put_line(out, l, rest, "", "", e))
			return -1;
	}
	for (size_t i = 0; i < json_len(list); i++) {
		const char *text = json_str(json_at(list, i));

		if (put_line(out, l, "", text ? text : "?", "", e))
			return -1;
	}
	return 0;
}

static int netns_label(const struct json *n, const struct lang *l, struct buf *out, struct err *e)
{
	const struct json *tasks = json_get(n, "tasks");
	int64_t more = num_of(n, "n_tasks") - (int64_t)json_len(tasks);
	char rest[64];

	if (put_line(out, l, "netns ", str_of(n, "name"), is_set(n, "external") ? ", external" : "",
		     e))
		return -1;
	for (size_t i = 0; i < json_len(tasks); i++) {
		const struct json *t = json_at(tasks, i);

		snprintf(rest, sizeof(rest), " (%lld)", (long long)num_of(t, "pid"));
		if (put_line(out, l, "", str_of(t, "comm"), rest, e))
			return -1;
	}
	snprintf(rest, sizeof(rest), "and %lld tasks more", (long long)more);
	return more > 0 ? put_line(out, l, rest, "", "", e) : 0;
}

static int listeners_label(const struct json *n, const struct lang *l, struct buf *out,
			   struct err *e)
{
	const struct json *list = json_get(n, "listeners");
	int64_t more = num_of(n, "n_listeners") - (int64_t)json_len(list);
	char rest[64];

	for (size_t i = 0; i < json_len(list); i++) {
		const char *text = json_str(json_at(list, i));

		if (put_line(out, l, "", text ? text : "?", "", e))
			return -1;
	}
	snprintf(rest, sizeof(rest), "and %lld more", (long long)more);
	return more > 0 ? put_line(out, l, rest, "", "", e) : 0;
}

/* ---- dot ---- */

static const struct lang dot = {quote_dot, "\\l"};
static const struct lang mermaid = {quote_mermaid, "<br/>"};

/* How a kind of link looks in each language. */
static const struct style {
	const char *kind, *dot, *mermaid;
	bool has_label;
	bool turned; /* in dot the second end stands first: a bridge left of its ports, which face their peers */
} styles[] = {
	{"veth", "color=\"#1f6feb\", penwidth=1.6", "---", false, false},
	{"port", "color=\"#57606a\", dir=back, arrowtail=vee, arrowsize=0.6", "-->", false, true},
	{"lower", "color=\"#8250df\", dir=forward, arrowhead=vee, arrowsize=0.6", "-->", true,
	 false},
	{"vxlan", "color=\"#bf8700\", style=dashed, constraint=false", "-.-", true, false},
	{"peer", "color=\"#cf222e\", style=dotted", "-.-", false, false},
};

static const struct style *style_of(const struct json *edge)
{
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		if (strcmp(str_of(edge, "kind"), styles[i].kind) == 0)
			return &styles[i];
	}
	return &styles[0];
}

static int dot_netns(const struct json *n, struct buf *out, struct err *e)
{
	const struct json *devices = json_get(n, "devices");
	bool none = json_len(devices) == 0 && json_len(json_get(n, "listeners")) == 0;

	if (buf_printf(out, e, "  subgraph cluster_%s {\n    label=\"", str_of(n, "id")) ||
	    netns_label(n, &dot, out, e) ||
	    buf_printf(out, e, "\"; style=\"rounded,filled\"; fillcolor=\"%s\";\n",
		       is_set(n, "external") ? "#fff1e5" : "#f6f8fa"))
		return -1;
	for (size_t i = 0; i < json_len(devices); i++) {
		const struct json *d = json_at(devices, i);

		if (buf_printf(out, e, "    %s [label=\"", str_of(d, "id")) ||
		    device_label(d, &dot, out, e) ||
		    buf_printf(out, e, "\"%s];\n",
			       is_set(d, "up") ? "" : ", style=\"filled,dashed\""))
			return -1;
	}
	if (json_len(json_get(n, "listeners")) &&
	    (buf_printf(out, e, "    l%s [shape=note, fillcolor=\"#dafbe1\", label=\"",
			str_of(n, "id")) ||
	     listeners_label(n, &dot, out, e) || buf_add_str(out, "\"];\n", e)))
		return -1;
	/* a cluster without a node is not drawn */
	if (none && buf_printf(out, e, "    e%s [shape=point, style=invis];\n", str_of(n, "id")))
		return -1;
	return buf_add_str(out, "  }\n", e);
}

static int dot_edge(const struct json *edge, struct buf *out, struct err *e)
{
	const struct style *s = style_of(edge);

	if (buf_printf(out, e, "  %s -> %s [%s", str_of(edge, s->turned ? "to" : "from"),
		       str_of(edge, s->turned ? "from" : "to"), s->dot))
		return -1;
	if (s->has_label &&
	    (buf_add_str(out, ", label=\"", e) ||
	     put_name(out, str_of(edge, "label"), quote_dot, e) || buf_add_str(out, "\"", e)))
		return -1;
	return buf_add_str(out, "];\n", e);
}

int graph_dot(const struct json *g, struct buf *out, struct err *e)
{
	static const char head[] =
		"digraph nsimg {\n"
		"  graph [rankdir=LR, fontname=\"Helvetica\", fontsize=11, labeljust=l, "
		"ranksep=0.7, "
		"nodesep=0.15];\n"
		"  node [shape=box, style=filled, fillcolor=white, fontname=\"Helvetica\", "
		"fontsize=10, margin=\"0.08,0.04\", height=0.2];\n"
		"  edge [dir=none, fontname=\"Helvetica\", fontsize=9];\n";
	const struct json *list = json_get(g, "netns");

	if (buf_add_str(out, head, e))
		return -1;
	for (size_t i = 0; i < json_len(list); i++)
		if (dot_netns(json_at(list, i), out, e))
			return -1;
	list = json_get(g, "outside");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *o = json_at(list, i);

		if (buf_printf(out, e,
			       "  %s [shape=plaintext, style=\"\", fontcolor=\"#cf222e\", label=\"",
			       str_of(o, "id")) ||
		    put_name(out, str_of(o, "name"), quote_dot, e) || buf_add_str(out, "\"];\n", e))
			return -1;
	}
	list = json_get(g, "edges");
	for (size_t i = 0; i < json_len(list); i++)
		if (dot_edge(json_at(list, i), out, e))
			return -1;
	return buf_add_str(out, "}\n", e);
}

/* ---- Mermaid ---- */

/* ID["label"], or with other brackets. */
static int mermaid_node(const char *before, const char *id, const char *open, const char *close,
			const struct json *o,
			int (*label)(const struct json *, const struct lang *, struct buf *,
				     struct err *),
			struct buf *out, struct err *e)
{
	size_t n;

	if (buf_printf(out, e, "%s%s%s\"", before, id, open) || label(o, &mermaid, out, e))
		return -1;
	/* no line end after the last line */
	n = strlen(mermaid.line);
	if (out->len >= n && memcmp(out->data + out->len - n, mermaid.line, n) == 0)
		out->len -= n;
	return buf_printf(out, e, "\"%s\n", close);
}

static int outside_label(const struct json *o, const struct lang *l, struct buf *out, struct err *e)
{
	return put_name(out, str_of(o, "name"), l->quote, e);
}

static int mermaid_netns(const struct json *n, struct buf *out, struct err *e)
{
	const struct json *devices = json_get(n, "devices");
	const char *id = str_of(n, "id");
	char name[40];

	if (mermaid_node("  subgraph ", id, "[", "]", n, netns_label, out, e))
		return -1;
	for (size_t i = 0; i < json_len(devices); i++) {
		const struct json *d = json_at(devices, i);

		if (mermaid_node("    ", str_of(d, "id"), "[", "]", d, device_label, out, e))
			return -1;
	}
	snprintf(name, sizeof(name), "l%s", id);
	if (json_len(json_get(n, "listeners")) &&
	    mermaid_node("    ", name, "([", "])", n, listeners_label, out, e))
		return -1;
	return buf_add_str(out, "  end\n", e);
}

int graph_mermaid(const struct json *g, struct buf *out, struct err *e)
{
	const struct json *list = json_get(g, "netns");

	if (buf_add_str(out, "flowchart LR\n", e))
		return -1;
	for (size_t i = 0; i < json_len(list); i++)
		if (mermaid_netns(json_at(list, i), out, e))
			return -1;
	list = json_get(g, "outside");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *o = json_at(list, i);

		if (mermaid_node("  ", str_of(o, "id"), "{{", "}}", o, outside_label, out, e))
			return -1;
	}
	list = json_get(g, "edges");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *edge = json_at(list, i);
		const struct style *s = style_of(edge);

		if (buf_printf(out, e, "  %s %s", str_of(edge, "from"), s->mermaid) ||
		    (s->has_label && (buf_add_str(out, "|\"", e) ||
				      put_name(out, str_of(edge, "label"), quote_mermaid, e) ||
				      buf_add_str(out, "\"|", e))) ||
		    buf_printf(out, e, " %s\n", str_of(edge, "to")))
			return -1;
	}
	return 0;
}

/* ---- the command ---- */

static int print_json(const struct json *g, struct buf *out, struct err *e)
{
	return json_print(g, true, out, e) || buf_add_str(out, "\n", e) ? -1 : 0;
}

static int print_svg(const struct json *g, struct buf *out, struct err *e)
{
	static const char *const argv[] = {"dot", "-Tsvg", NULL};
	auto_buf struct buf text = {0};

	if (graph_dot(g, &text, e))
		return -1;
	if (run_filter(argv, buf_span(&text), out, e) == 0)
		return 0;
	if (e->code == ERR_NOTFOUND)
		return err_set(e, ERR_NOTFOUND,
			       "SVG is made by the program 'dot', which is not in PATH: install "
			       "graphviz, or print --format dot or mermaid");
	return -1;
}

static const struct {
	const char *name;
	int (*print)(const struct json *g, struct buf *out, struct err *e);
} formats[] = {
	{"dot", graph_dot},
	{"mermaid", graph_mermaid},
	{"svg", print_svg},
	{"json", print_json},
};

static const char *format_name_at(const void *arg, unsigned i)
{
	return i < ARRAY_SIZE(formats) ? formats[i].name : NULL;
}

static int graph_print(const struct json *g, const char *format, FILE *out, struct err *e)
{
	auto_buf struct buf text = {0};
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (strcmp(format, formats[i].name) != 0)
			continue;
		if (formats[i].print(g, &text, e))
			return -1;
		if (fwrite(text.data, 1, text.len, out) != text.len)
			return err_sys(e, ERR_IO, "cannot write the output");
		return 0;
	}
	near = cli_nearest(format, format_name_at, NULL);
	return err_set(e, ERR_USAGE, "--format is dot, mermaid, svg or json, not '%s'%s%s%s",
		       format, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int graph_run(struct cli *c, struct err *e)
{
	const char *format = cli_json(c)              ? "json"
			     : cli_value(c, "format") ? cli_value(c, "format")
						      : "dot";
	struct graph_opts opts = {.loopback = cli_has(c, "loopback"),
				  .listeners = !cli_has(c, "no-listeners")};
	auto_json struct json *g = NULL;
	auto_db struct db *db = NULL;
	int64_t image;

	if (cli_json(c) && cli_has(c, "format"))
		return err_set(e, ERR_USAGE, "--json and --format exclude each other");
	db = rows_open(c, 0, &image, e);
	if (!db ||
	    (cli_has(c, "netns") && rows_netns(db, image, cli_value(c, "netns"), &opts.netns, e)))
		return -1;
	g = graph_data(db, image, &opts, e);
	return g ? graph_print(g, format, cli_out(c), e) : -1;
}

static const struct cli_opt graph_cmd_opts[] = {
	{"format", 'f', "dot|mermaid|svg|json",
	 "dot (default), mermaid, svg (made by Graphviz's dot) or json", false},
	{"netns", 'N', "NAME", "only this namespace and those it has links to", false},
	{"no-listeners", 0, NULL, "without the sockets that listen", false},
	{"loopback", 0, NULL, "with lo, also where it is as in every namespace", false},
	{0},
};

const struct cmd cmd_graph = {
	.name = "graph",
	.synopsis = "DB",
	.summary = "namespaces, devices and the links between them, as a picture",
	.run = graph_run,
	.opts = graph_cmd_opts,
	.flags = CMD_DATABASE | CMD_JSON | CMD_IMAGE | CMD_EXEC,
	.min_args = 1,
	.max_args = 1,
};
