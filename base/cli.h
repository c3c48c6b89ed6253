/* cli.h: a command as a row, and everything that follows from the rows: option parsing, usage, help,
 * suggestions.
 *
 * Owns:  the parsed words behind struct cli, for the time of one run.
 * Never: prints errors or picks the exit status (main.c does); knows no single command.
 * Order: a folder exports "extern const struct cmd cmd_NAME" from its commands.h, main.c lists it, cli_run
 *        does the rest and calls cmd->run with the parsed words.
 * Adding a command: one row here, one line in main.c, one page doc/nsimg-NAME.1 (tests/lint/man.sh).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/table.h"

struct cli;

/* An option of a command. Rows end with a zeroed one. */
struct cli_opt {
	const char *name; /* long, without the dashes */
	char letter;      /* short, or 0 */
	const char *
		arg; /* name of its argument in capitals, or its values: "text|json"; NULL: a switch */
	const char *help; /* one line */
	bool many;        /* may be given several times */
};

/* 0 done and nothing found, 1 done with findings or differences, -1 error. */
typedef int cmd_fn(struct cli *c, struct err *e);

enum cmd_flag {
	CMD_DATABASE = 1 << 0, /* its first argument is a database */
	CMD_WRITES = 1 << 1,   /* changes that database; both have --read-only */
	CMD_PRIVILEGED =
		1 << 2, /* needs the capabilities in caps, and keeps what it has; without this flag
				  * all but access to files are dropped before run, and a
				  * sandbox leaves only the files among its words */
	CMD_OUTPUT = 1 << 3, /* prints a table: has --json, --csv, -o and --no-header as well */
	CMD_JSON = 1 << 4,   /* prints, but no table: has --json */
	CMD_IMAGE = 1 << 5,  /* has --image ID */
	CMD_EXEC = 1 << 6,   /* runs other programs of the system (dot) */
	CMD_CHANGES =
		1
		<< 7, /* makes or changes something else than a database: it goes on to its end when nobody reads
				* what it prints, as commands that write do */
};

struct cmd {
	const char *name;
	const char *
		synopsis; /* the arguments after the name: "DB TABLE [WHERE]"; completion goes by it */
	const char *summary; /* one line, for the list of commands */
	cmd_fn *run;
	const struct cli_opt *opts; /* NULL: none beyond those that follow from flags */
	unsigned flags;
	uint64_t caps; /* bit mask, 1 << CAP_NAME: without one of them it is refused */
	unsigned min_args,
		max_args; /* words that are not options; max_args 0 with min_args 0: none */
};

#define CLI_ANY_ARGS ((unsigned)-1)

/* Parse argv against the commands (an array that ends with NULL) and run the one that is meant, or print
 * usage, help or version when asked. Returns what run returned; -1 with e set also for wrong words
 * (ERR_USAGE). *verb: the command's name for messages, lent, or NULL. */
int cli_run(const struct cmd *const *cmds, int argc, char **argv, const char **verb, struct err *e);

/* For tests and for commands made of others: parse words (argv[0] is the command's name) for one row and
 * run it, with output to out, and the capabilities left as they are. */
int cli_run_cmd(const struct cmd *cmd, int argc, char **argv, FILE *out, struct err *e);

/* Parse words as cli_run_cmd does, and give them to fn instead of running the command. */
typedef int cli_words_fn(void *arg, struct cli *c, struct err *e);
int cli_with_words(const struct cmd *cmd, int argc, char **argv, FILE *out, cli_words_fn *fn,
		   void *arg, struct err *e);

/* The row that the words were parsed for. */
const struct cmd *cli_cmd(const struct cli *c);

/* The table that cli_run was given, for a command about commands; NULL in cli_run_cmd. */
const struct cmd *const *cli_commands(const struct cli *c);

/* Append the command as it was typed, quoted for a shell where it has to be: its name, options, and words
 * from number first on. */
int cli_line(const struct cli *c, unsigned first, struct buf *out, struct err *e);

/* What a command asks for. Texts are lent for the whole run. */
unsigned cli_n_args(const struct cli *c);
const char *cli_arg(const struct cli *c, unsigned i); /* NULL beyond the end */
const char *const *cli_args(const struct cli *c);

/* Words after "--" (they are args too): index of the first, or cli_n_args when there was no "--". */
unsigned cli_after_dashes(const struct cli *c);

bool cli_has(const struct cli *c, const char *opt);
const char *cli_value(const struct cli *c, const char *opt); /* the last one given, or NULL */

/* Values of an option that may be repeated, in order: *i starts at 0; NULL at the end. */
const char *cli_next_value(const struct cli *c, const char *opt, unsigned *i);

/* The value as a number within min..max, *out untouched when it was not given. ERR_USAGE otherwise. */
int cli_number(const struct cli *c, const char *opt, int64_t min, int64_t max, int64_t *out,
	       struct err *e);

/* A decimal number from text, the whole of it: 0, or -1 (ERR_USAGE, with what in the message). */
int cli_parse_number(const char *text, int64_t min, int64_t max, int64_t *out, const char *what,
		     struct err *e);

/* Where the command prints (stdout), and how, from --json, --csv, -o, --no-header. */
FILE *cli_out(const struct cli *c);
bool cli_json(const struct cli *c);
struct table_style cli_style(const struct cli *c);

/* The one way in which a command prints a table: as those options ask. A command without CMD_OUTPUT prints none
 * (ERR_UNSUPPORTED), so that none is without them. ERR_USAGE as table_print. */
int cli_print_table(const struct cli *c, const struct table *t, struct err *e);

/* The same of a table whose columns nobody knows before: table_style.records. */
int cli_print_records(const struct cli *c, const struct table *t, struct err *e);

/* Is it the rows that are asked for (--json, --csv, -o), where a command prints them for people as text of its own? */
bool cli_wants_rows(const struct cli *c);

/* --read-only: a command that writes its database runs then only with --dry-run, and opens it for reading. */
bool cli_read_only(const struct cli *c);

/* --image ID, 0 when it was not given. */
int cli_image(const struct cli *c, int64_t *id, struct err *e);

/* The name nearest to a mistyped word, NULL when none is near. next gives name number i or NULL. */
const char *cli_nearest(const char *word, const char *(*next)(const void *arg, unsigned i),
			const void *arg);

/* Print the usage of one command. */
void cli_print_usage(const struct cmd *cmd, FILE *out);

/* nsimg completion: a completion script made from the table (cli_complete.c). */
extern const struct cmd cmd_completion;
