#include "restorer/options.h"

#include <limits.h>
#include <linux/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restorer/check_criu.h"

void options_free(struct options *o)
{
	for (size_t i = 0; i < o->opts.n_veths; i++) {
		free((char *)o->veths[i].netns);
		free((char *)o->veths[i].in);
		free((char *)o->veths[i].out);
		free((char *)o->veths[i].bridge);
	}
	for (size_t i = 0; i < o->opts.n_netns; i++) {
		free((char *)o->netns[i].key);
		free((char *)o->netns[i].target);
	}
	free(o->veths);
	free(o->netns);
	free(o->name);
	free(o->pin_dir);
	free(o->root);
	free(o->state_dir);
}

/* What stands before the separator, an owned text; *s moves behind it. NULL: no separator. */
static char *cut(const char **s, char separator)
{
	const char *at = strrchr(*s, separator);
	char *part;

	if (separator == '=' || separator == '@')
		at = strchr(*s, separator);
	if (!at)
		return NULL;
	part = strndup(*s, at - *s);
	*s = at + 1;
	return part;
}

static int check_ifname(const char *name, const char *option, struct err *e)
{
	if (!*name || strlen(name) >= IFNAMSIZ || strchr(name, '/'))
		return err_set(e, ERR_USAGE, "%s: \"%s\" cannot be the name of a device", option,
			       name);
	return 0;
}

static int parse_veth(struct options *o, const char *text, struct err *e)
{
	struct opt_veth *grown = realloc(o->veths, (o->opts.n_veths + 1) * sizeof(*grown));
	const char *at = text, *in;
	auto_free char *left = NULL;
	struct opt_veth *v;

	if (!grown)
		return err_set(e, ERR_NOMEM, "--veth");
	o->veths = grown;
	o->opts.veths = grown;
	left = cut(&at, '=');
	if (!left)
		return err_set(e, ERR_USAGE, "--veth %s: write [NETNS/]IN=OUT[@BRIDGE]", text);
	v = &grown[o->opts.n_veths++];
	*v = (struct opt_veth){0};
	in = left;
	v->netns = cut(&in, '/');
	v->in = strdup(in);
	v->out = cut(&at, '@');
	if (v->out)
		v->bridge = strdup(at);
	else
		v->out = strdup(at);
	if (!v->in || !v->out)
		return err_set(e, ERR_NOMEM, "--veth");
	return check_ifname(v->in, "--veth", e) || check_ifname(v->out, "--veth", e) ||
			       (v->bridge && check_ifname(v->bridge, "--veth", e))
		       ? -1
		       : 0;
}

/* The first of two would win and nobody would know. */
static int check_twice(const struct options *o, struct err *e)
{
	for (size_t i = 0; i < o->opts.n_veths; i++)
		for (size_t k = 0; k < i; k++) {
			const struct opt_veth *a = &o->veths[i], *b = &o->veths[k];

			if (!strcmp(a->in, b->in) && !a->netns == !b->netns &&
			    (!a->netns || !strcmp(a->netns, b->netns)))
				return err_set(
					e, ERR_USAGE,
					"--veth %s%s%s=%s: it is %s already; give one of them",
					a->netns ? a->netns : "", a->netns ? "/" : "", a->in,
					a->out, b->out);
		}
	for (size_t i = 0; i < o->opts.n_netns; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(o->netns[i].key, o->netns[k].key))
				return err_set(e, ERR_USAGE,
					       "--netns %s=%s: it is %s already; give one of them",
					       o->netns[i].key, o->netns[i].target,
					       o->netns[k].target);
	return 0;
}

static int parse_netns(struct options *o, const char *text, struct err *e)
{
	struct opt_netns *grown = realloc(o->netns, (o->opts.n_netns + 1) * sizeof(*grown));
	const char *at = text;
	struct opt_netns *n;

	if (!grown)
		return err_set(e, ERR_NOMEM, "--netns");
	o->netns = grown;
	o->opts.netns = grown;
	n = &grown[o->opts.n_netns];
	*n = (struct opt_netns){cut(&at, '='), NULL};
	if (!n->key || !*n->key || !*at) {
		free((char *)n->key);
		return err_set(e, ERR_USAGE, "--netns %s: write KEY=NAME or KEY=PATH", text);
	}
	n->target = strdup(at);
	o->opts.n_netns++;
	return n->target ? 0 : err_set(e, ERR_NOMEM, "--netns");
}

/* The journal and the pins outlive this process, and undo may run from another folder. */
static int absolute(const char *path, char **out, struct err *e)
{
	auto_free char *here = NULL;

	if (!path)
		return 0;
	if (*path == '/') {
		*out = strdup(path);
	} else {
		here = getcwd(NULL, 0);
		if (!here)
			return err_sys(e, ERR_IO, "current folder");
		if (asprintf(out, "%s/%s", here, path) < 0)
			*out = NULL;
	}
	return *out ? 0 : err_set(e, ERR_NOMEM, "path");
}

/* The file name of the database without its ending. */
static int default_name(struct options *o, const char *db, struct err *e)
{
	const char *base = strrchr(db, '/');
	char *dot;

	o->name = strdup(base ? base + 1 : db);
	if (!o->name)
		return err_set(e, ERR_NOMEM, "name");
	dot = strrchr(o->name, '.');
	if (dot && dot != o->name)
		*dot = 0;
	return 0;
}

/* Words after "--" are CRIU's. */
static int parse_criu_words(const struct cli *c, struct options *o, struct err *e)
{
	unsigned first = cli_after_dashes(c);

	if (first != 1)
		return err_set(e, ERR_USAGE, "one database is meant, not %s", cli_arg(c, 1));
	o->opts.n_criu_words = cli_n_args(c) - first;
	o->opts.criu_words = cli_args(c) + first;
	if (o->opts.criu && o->opts.no_tasks)
		return err_set(e, ERR_USAGE, "--criu and --no-tasks exclude each other");
	if (o->opts.criu && cli_has(c, "root"))
		return err_set(e, ERR_USAGE,
			       "--root is for the sockets of holders: with --criu the files are "
			       "where the processes have them (CRIU's own: -- --root)");
	if (!o->opts.criu && (o->opts.n_criu_words || o->opts.criu_program || o->opts.source))
		return err_set(e, ERR_USAGE, "%s is for CRIU: give --criu",
			       o->opts.n_criu_words ? "what follows --"
			       : o->opts.source     ? "--source"
						    : "--criu-program");
	return check_criu_words(o->opts.criu_words, o->opts.n_criu_words, e);
}

int options_parse(struct cli *c, struct options *o, struct err *e)
{
	const char *text, *prefix = cli_value(c, "prefix");
	unsigned i = 0;

	*o = (struct options){0};
	while ((text = cli_next_value(c, "veth", &i)))
		if (parse_veth(o, text, e))
			return -1;
	i = 0;
	while ((text = cli_next_value(c, "netns", &i)))
		if (parse_netns(o, text, e))
			return -1;
	if (check_twice(o, e))
		return -1;
	if (prefix && strchr(prefix, '/'))
		return err_set(e, ERR_USAGE, "--prefix %s: a prefix of names has no '/'", prefix);
	if (default_name(o, cli_arg(c, 0), e) ||
	    absolute(cli_value(c, "pin-dir"), &o->pin_dir, e) ||
	    absolute(cli_value(c, "root"), &o->root, e))
		return -1;
	o->opts.db_path = cli_arg(c, 0);
	o->opts.name = o->name;
	o->opts.prefix = prefix ? prefix : "";
	o->opts.pin_dir = o->pin_dir;
	o->opts.state_dir = JOURNAL_DIR;
	o->opts.root = o->root ? o->root : "/";
	o->opts.all_pins = cli_has(c, "all-pins");
	o->opts.no_tasks = cli_has(c, "no-tasks");
	o->opts.criu = cli_has(c, "criu");
	o->opts.source = cli_value(c, "source");
	o->opts.criu_program = cli_value(c, "criu-program");
	return parse_criu_words(c, o, e);
}

int options_parse_run(struct cli *c, struct options *o, struct err *e)
{
	int64_t after = 0;

	if (cli_number(c, "break-after", 1, INT32_MAX, &after, e) ||
	    absolute(cli_value(c, "state-dir"), &o->state_dir, e))
		return -1;
	if (o->state_dir)
		o->opts.state_dir = o->state_dir;
	if (cli_value(c, "name"))
		o->opts.name = cli_value(c, "name");
	o->opts.dry_run = cli_has(c, "dry-run");
	o->opts.any_ifindex = cli_has(c, "any-ifindex");
	if (o->opts.any_ifindex && o->opts.criu)
		return err_set(e, ERR_USAGE,
			       "--any-ifindex and --criu exclude each other: the sockets "
			       "that CRIU makes have the indexes of its image");
	o->opts.break_after = after;
	return 0;
}
