#include "base/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/cleanup.h"
#include "base/colour.h"
#include "base/cli_help.h"
#include "base/cli_sandbox.h"
#include "base/stop.h"

#define OPT_BASE 256 /* getopt values of our options: above every letter */
#define MAX_OPTS 64

struct cli_given {
	const struct cli_opt *opt;
	const char *value;
};

struct cli {
	const struct cmd *cmd;
	const struct cmd *const *cmds; /* all of the program, or NULL */
	const struct cli_opt *opts[MAX_OPTS];
	unsigned n_opts;
	const char **args; /* room for argc */
	unsigned n_args, after_dashes;
	struct cli_given *given; /* room for argc */
	unsigned n_given;
	FILE *out;
};

/* Options that come with a flag of the command, so that they are the same everywhere; without the letter where the
 * command has that for an option of its own. */
#define SHARED(flags, name, letter, arg, help)                                                     \
	{                                                                                          \
		flags, {name, letter, arg, help, false},                                           \
		{                                                                                  \
			name, 0, arg, help, false                                                  \
		}                                                                                  \
	}
static const struct {
	unsigned flags;
	struct cli_opt opt, plain;
} shared_opts[] = {
	SHARED(CMD_IMAGE, "image", 'i', "ID", "which image of the file (default: the only one)"),
	SHARED(CMD_OUTPUT | CMD_JSON, "json", 'j', NULL, "print JSON"),
	SHARED(CMD_OUTPUT, "csv", 0, NULL, "print CSV"),
	SHARED(CMD_OUTPUT, "columns", 'o', "COLUMNS",
	       "columns to print; +NAME adds to the usual ones"),
	SHARED(CMD_OUTPUT, "no-header", 'n', NULL, "leave out the heading"),
	SHARED(CMD_DATABASE | CMD_WRITES, "read-only", 0, NULL,
	       "refuse to change the database, whatever the command"),
	SHARED(~0u, "help", 'h', NULL, "print the usage"),
};

static bool letter_is_taken(const struct cmd *cmd, char letter)
{
	for (const struct cli_opt *o = cmd->opts; letter && o && o->name; o++)
		if (o->letter == letter)
			return true;
	return false;
}

unsigned cli_cmd_opts(const struct cmd *cmd, const struct cli_opt **opts, unsigned max)
{
	unsigned n = 0;

	for (const struct cli_opt *o = cmd->opts; o && o->name && n < max; o++)
		opts[n++] = o;
	for (size_t i = 0; i < ARRAY_SIZE(shared_opts) && n < max; i++) {
		bool all = shared_opts[i].flags == ~0u;

		if (all || (cmd->flags & shared_opts[i].flags))
			opts[n++] = letter_is_taken(cmd, shared_opts[i].opt.letter)
					    ? &shared_opts[i].plain
					    : &shared_opts[i].opt;
	}
	return n;
}

/* ---- suggestions ---- */

/* Optimal string alignment distance (insert, delete, replace, swap of neighbours), for short words. */
static unsigned word_distance(const char *a, const char *b)
{
	enum { MAX = 40 };
	unsigned d[MAX + 1][MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > MAX || nb > MAX)
		return MAX;
	for (size_t i = 0; i <= na; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[na][nb];
}

const char *cli_nearest(const char *word, const char *(*next)(const void *arg, unsigned i),
			const void *arg)
{
	size_t n = strlen(word);
	/* one slip in three letters, two in six, three beyond */
	unsigned limit = n <= 3 ? 1 : n <= 6 ? 2 : 3, best = limit + 1;
	const char *found = NULL, *name;

	for (unsigned i = 0; (name = next(arg, i)); i++) {
		unsigned d = word_distance(word, name);

		/* the beginning of a longer name, as in "sock" */
		if (n >= 3 && strncmp(word, name, n) == 0 && d > 1)
			d = 1;
		if (d < best) {
			best = d;
			found = name;
		}
	}
	return found;
}

static const char *opt_name_at(const void *arg, unsigned i)
{
	const struct cli *c = arg;

	return i < c->n_opts ? c->opts[i]->name : NULL;
}

/* ---- options ---- */

static int unknown_option(const struct cli *c, const char *word, struct err *e)
{
	const char *near = NULL;
	auto_free char *name = NULL;

	if (strncmp(word, "--", 2) == 0) {
		name = strndup(word + 2, strcspn(word + 2, "="));
		near = name ? cli_nearest(name, opt_name_at, c) : NULL;
	}
	if (near)
		return err_set(e, ERR_USAGE, "no option %s; did you mean --%s?", word, near);
	return err_set(e, ERR_USAGE, "no option %s; see nsimg %s --help", word, c->cmd->name);
}

static const struct cli_opt *opt_of(const struct cli *c, int got)
{
	if (got >= OPT_BASE)
		return c->opts[got - OPT_BASE];
	for (unsigned i = 0; i < c->n_opts; i++) {
		if (c->opts[i]->letter == got)
			return c->opts[i];
	}
	return NULL;
}

/* What getopt_long calls '?' or ':' (opterr is off, so it printed nothing). */
static int bad_option(const struct cli *c, int got, char **argv, struct err *e)
{
	char letter[3] = {'-', (char)optopt, 0};
	const char *word = optopt && optopt < OPT_BASE ? letter : argv[optind - 1];
	const struct cli_opt *opt = optopt ? opt_of(c, optopt) : NULL;

	if (got == ':')
		return err_set(e, ERR_USAGE, "option %s needs its %s", word,
			       opt ? opt->arg : "argument");
	if (opt)
		return err_set(e, ERR_USAGE, "option --%s takes no argument", opt->name);
	return unknown_option(c, word, e);
}

static int give_option(struct cli *c, const struct cli_opt *opt, const char *value, struct err *e)
{
	if (!opt->many && opt->arg && cli_has(c, opt->name))
		return err_set(e, ERR_USAGE, "option --%s is given twice", opt->name);
	c->given[c->n_given++] = (struct cli_given){opt, value};
	return 0;
}

/* The tables of getopt_long from the rows. "-" keeps words in order, ":" tells a missing argument from an
 * unknown option. */
static void fill_getopt(const struct cli *c, struct option *longs, char *shorts)
{
	*shorts++ = '-';
	*shorts++ = ':';
	for (unsigned i = 0; i < c->n_opts; i++) {
		const struct cli_opt *o = c->opts[i];

		longs[i] = (struct option){o->name, o->arg ? required_argument : no_argument, NULL,
					   OPT_BASE + (int)i};
		if (!o->letter)
			continue;
		*shorts++ = o->letter;
		if (o->arg)
			*shorts++ = ':';
	}
	*shorts = 0;
}

/* "-- ...": no option has a blank there. */
static bool is_text(const char *word)
{
	return strncmp(word, "--", 2) == 0 && word[2] && strchr(" \t\n", word[2]);
}

static int parse_words(struct cli *c, int argc, char **argv, struct err *e)
{
	struct option longs[MAX_OPTS + 1] = {{0}};
	char shorts[2 * MAX_OPTS + 3];
	int got;

	fill_getopt(c, longs, shorts);
	optind = 0; /* glibc: start anew, also after another command was parsed */
	opterr = 0;
	while ((got = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (got == 1)
			c->args[c->n_args++] = optarg;
		else if (got == '?' && is_text(argv[optind - 1]))
			c->args[c->n_args++] =
				argv[optind - 1]; /* SQL that begins with a comment */
		else if (got == '?' || got == ':')
			return bad_option(c, got, argv, e);
		else if (give_option(c, opt_of(c, got), optarg, e))
			return -1;
	}
	c->after_dashes = c->n_args;
	while (optind < argc)
		c->args[c->n_args++] = argv[optind++];
	return 0;
}

static int check_words(const struct cli *c, struct err *e)
{
	const struct cmd *cmd = c->cmd;

	if (c->n_args < cmd->min_args)
		return err_set(e, ERR_USAGE, "too few arguments; usage: nsimg %s %s", cmd->name,
			       cmd->synopsis);
	if (c->n_args > cmd->max_args)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many; usage: nsimg %s %s",
			       c->args[cmd->max_args], cmd->name, cmd->synopsis);
	if (cli_has(c, "json") && cli_has(c, "csv"))
		return err_set(e, ERR_USAGE, "--json and --csv exclude each other");
	return 0;
}

/* The database is evidence: what would change it ends before it is opened. */
static int check_read_only(const struct cli *c, struct err *e)
{
	if (!cli_read_only(c) || !(c->cmd->flags & CMD_WRITES) || cli_has(c, "dry-run"))
		return 0;
	for (unsigned i = 0; i < c->n_opts; i++)
		if (!strcmp(c->opts[i]->name, "dry-run"))
			return err_set(
				e, ERR_USAGE,
				"it would change %s, and --read-only is given (with --dry-run "
				"it only says what would change)",
				c->args[0]);
	return err_set(e, ERR_USAGE, "it would change %s, and --read-only is given", c->args[0]);
}

/* A command without privileges gives up all but the right to read and write files like any root program:
 * "sudo nsimg tree ~user/case.db" has to work, and the file may be its owner's alone. Which files those may
 * be is limited by the sandbox. */
static int limit_rights(const struct cli *c, const char **words, struct err *e)
{
	const struct cmd *cmd = c->cmd;
	size_t n = 0;

	if (cmd->flags & CMD_PRIVILEGED)
		return caps_need(cmd->caps, cmd->name, e);
	for (unsigned i = 0; i < c->n_args; i++)
		words[n++] = c->args[i];
	for (unsigned i = 0; i < c->n_given; i++)
		if (c->given[i].value)
			words[n++] = c->given[i].value;
	if (caps_keep_files(e))
		return -1;
	return cli_sandbox_enter(cmd, words, n, e);
}

/* Is there more to it than what it prints? */
static bool does_work(const struct cmd *cmd)
{
	return cmd->flags & (CMD_WRITES | CMD_CHANGES);
}

/* How a parsed command goes on: fn NULL: its own run. */
struct run_how {
	bool limit; /* give up rights first */
	const struct cmd *const *cmds;
	cli_words_fn *fn;
	void *arg;
};

static int parse_and_run(const struct cmd *cmd, int argc, char **argv, FILE *out,
			 const struct run_how *how, struct err *e)
{
	auto_free const char **args = calloc((size_t)argc + 1, sizeof(*args));
	auto_free const char **words = calloc((size_t)argc + 1, sizeof(*words));
	auto_free struct cli_given *given = calloc((size_t)argc + 1, sizeof(*given));
	struct cli c = {.cmd = cmd, .cmds = how->cmds, .args = args, .given = given, .out = out};

	if (!args || !words || !given)
		return err_set(e, ERR_NOMEM, "arguments: out of memory");
	c.n_opts = cli_cmd_opts(cmd, c.opts, MAX_OPTS);
	if (parse_words(&c, argc, argv, e))
		return -1;
	if (cli_has(&c, "help")) {
		cli_print_usage(cmd, out);
		return 0;
	}
	if (check_words(&c, e) || check_read_only(&c, e) ||
	    (how->limit && limit_rights(&c, words, e)))
		return -1;
	if (how->limit && does_work(cmd))
		signal(SIGPIPE, SIG_IGN);
	if (how->limit && (cmd->flags & CMD_WRITES))
		stop_begin();
	return how->fn ? how->fn(how->arg, &c, e) : cmd->run(&c, e);
}

int cli_run_cmd(const struct cmd *cmd, int argc, char **argv, FILE *out, struct err *e)
{
	return parse_and_run(cmd, argc, argv, out, &(struct run_how){0}, e);
}

int cli_with_words(const struct cmd *cmd, int argc, char **argv, FILE *out, cli_words_fn *fn,
		   void *arg, struct err *e)
{
	return parse_and_run(cmd, argc, argv, out, &(struct run_how){.fn = fn, .arg = arg}, e);
}

/* ---- the program ---- */

static const char *cmd_name_at(const void *arg, unsigned i)
{
	const struct cmd *const *cmds = arg;

	return cmds[i] ? cmds[i]->name : NULL;
}

static const struct cmd *cmd_find(const struct cmd *const *cmds, const char *name)
{
	for (; *cmds; cmds++) {
		if (strcmp((*cmds)->name, name) == 0)
			return *cmds;
	}
	return NULL;
}

static const struct cmd *cmd_meant(const struct cmd *const *cmds, const char *name, struct err *e)
{
	const struct cmd *cmd = cmd_find(cmds, name);
	const char *near;

	if (cmd)
		return cmd;
	near = cli_nearest(name, cmd_name_at, cmds);
	if (near)
		err_set(e, ERR_USAGE, "no command '%s'; did you mean '%s'?", name, near);
	else
		err_set(e, ERR_USAGE, "no command '%s'; nsimg help lists them", name);
	return NULL;
}

static int run_help(const struct cmd *const *cmds, int argc, char **argv, struct err *e)
{
	const struct cmd *cmd;

	if (argc < 2) {
		cli_print_commands(cmds, stdout);
		return 0;
	}
	cmd = cmd_meant(cmds, argv[1], e);
	return cmd ? cli_show_page(cmd, stdout, e) : -1;
}

/* A program may be started with its standard descriptors closed. The first file it opens would then be one
 * of them, and what it prints would go into that file. */
static int fill_standard_descriptors(struct err *e)
{
	int fd;

	do {
		fd = open("/dev/null",
			  O_RDONLY | O_CLOEXEC); /* writing to it fails, as to a closed one */
		if (fd < 0)
			return err_sys(e, ERR_IO, "/dev/null");
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

static int run_words(const struct cmd *const *cmds, int argc, char **argv, const char **verb,
		     struct err *e)
{
	const struct cmd *cmd;

	if (argc < 2) {
		cli_print_commands(cmds, stderr);
		return err_set(e, ERR_USAGE, "no command given");
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("nsimg %s\n", NSIMG_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0)
		return run_help(cmds, argc - 1, argv + 1, e);
	cmd = cmd_meant(cmds, argv[1], e);
	if (!cmd)
		return -1;
	*verb = cmd->name;
	return parse_and_run(cmd, argc - 1, argv + 1, stdout,
			     &(struct run_how){.limit = true, .cmds = cmds}, e);
}

int cli_run(const struct cmd *const *cmds, int argc, char **argv, const char **verb, struct err *e)
{
	const struct cmd *cmd;
	const char *but;
	int rc;

	*verb = NULL;
	if (fill_standard_descriptors(e))
		return -1;
	rc = run_words(cmds, argc, argv, verb, e);
	cmd = *verb ? cmd_find(cmds, *verb) : NULL;
	but = cmd && does_work(cmd) ? " (what it tells of is done)" : "";
	/* a full disk under "nsimg sql ... > file" shows only here; where an earlier write failed, errno is
	 * of something else by now */
	if (rc >= 0 && ferror(stdout))
		return err_set(e, ERR_IO, "cannot write the output%s", but);
	if (rc >= 0 && fflush(stdout))
		return err_sys(e, ERR_IO, "cannot write the output%s", but);
	return rc;
}

/* ---- what a command asks ---- */

const struct cmd *cli_cmd(const struct cli *c)
{
	return c->cmd;
}

const struct cmd *const *cli_commands(const struct cli *c)
{
	return c->cmds;
}

/* A word as a shell takes it: as it is, or in quotes. */
static int add_word(struct buf *out, const char *word, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "%+,-./:=@_";

	if (out->len && buf_add_str(out, " ", e))
		return -1;
	if (*word && !word[strspn(word, plain)])
		return buf_add_str(out, word, e);
	if (buf_add_str(out, "'", e))
		return -1;
	for (; *word; word++)
		if (*word == '\'' ? buf_add_str(out, "'\\''", e) : buf_add(out, word, 1, e))
			return -1;
	return buf_add_str(out, "'", e);
}

int cli_line(const struct cli *c, unsigned first, struct buf *out, struct err *e)
{
	if (add_word(out, c->cmd->name, e))
		return -1;
	for (unsigned i = 0; i < c->n_given; i++) {
		const struct cli_given *g = &c->given[i];

		if (buf_printf(out, e, " --%s", g->opt->name) ||
		    (g->value && add_word(out, g->value, e)))
			return -1;
	}
	for (unsigned i = first; i < c->n_args; i++)
		if (add_word(out, c->args[i], e))
			return -1;
	return 0;
}

unsigned cli_n_args(const struct cli *c)
{
	return c->n_args;
}

const char *cli_arg(const struct cli *c, unsigned i)
{
	return i < c->n_args ? c->args[i] : NULL;
}

const char *const *cli_args(const struct cli *c)
{
	return c->args;
}

unsigned cli_after_dashes(const struct cli *c)
{
	return c->after_dashes;
}

const char *cli_next_value(const struct cli *c, const char *opt, unsigned *i)
{
	while (*i < c->n_given) {
		const struct cli_given *g = &c->given[(*i)++];

		if (strcmp(g->opt->name, opt) == 0)
			return g->value ? g->value : "";
	}
	return NULL;
}

bool cli_has(const struct cli *c, const char *opt)
{
	unsigned i = 0;

	return cli_next_value(c, opt, &i);
}

const char *cli_value(const struct cli *c, const char *opt)
{
	const char *last = NULL, *v;
	unsigned i = 0;

	while ((v = cli_next_value(c, opt, &i)))
		last = v;
	return last;
}

int cli_parse_number(const char *text, int64_t min, int64_t max, int64_t *out, const char *what,
		     struct err *e)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || end == text || *end || v < min || v > max)
		return err_set(e, ERR_USAGE, "%s: '%s' is not a number from %lld to %lld", what,
			       text, (long long)min, (long long)max);
	*out = v;
	return 0;
}

int cli_number(const struct cli *c, const char *opt, int64_t min, int64_t max, int64_t *out,
	       struct err *e)
{
	const char *v = cli_value(c, opt);
	char what[64];

	if (!v)
		return 0;
	snprintf(what, sizeof(what), "--%s", opt);
	return cli_parse_number(v, min, max, out, what, e);
}

FILE *cli_out(const struct cli *c)
{
	return c->out;
}

bool cli_json(const struct cli *c)
{
	return cli_has(c, "json");
}

bool cli_read_only(const struct cli *c)
{
	return cli_has(c, "read-only");
}

struct table_style cli_style(const struct cli *c)
{
	return (struct table_style){
		.format = cli_has(c, "json")  ? TABLE_AS_JSON
			  : cli_has(c, "csv") ? TABLE_CSV
					      : TABLE_TEXT,
		.no_header = cli_has(c, "no-header"),
		.columns = cli_value(c, "columns"),
		.width = table_terminal_width(c->out),
		.colour = colour_wanted(c->out),
	};
}

static int print_styled(const struct cli *c, const struct table *t, const struct table_style *style,
			struct err *e)
{
	if (!(c->cmd->flags & CMD_OUTPUT))
		return err_set(e, ERR_UNSUPPORTED,
			       "%s prints a table, and its row says it does not", c->cmd->name);
	return table_print(t, style, c->out, e);
}

int cli_print_table(const struct cli *c, const struct table *t, struct err *e)
{
	const struct table_style style = cli_style(c);

	return print_styled(c, t, &style, e);
}

int cli_print_records(const struct cli *c, const struct table *t, struct err *e)
{
	struct table_style style = cli_style(c);

	style.records = true;
	return print_styled(c, t, &style, e);
}

bool cli_wants_rows(const struct cli *c)
{
	return cli_has(c, "json") || cli_has(c, "csv") || cli_value(c, "columns");
}

int cli_image(const struct cli *c, int64_t *id, struct err *e)
{
	*id = 0;
	return cli_number(c, "image", 1, INT64_MAX, id, e);
}
