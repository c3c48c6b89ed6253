#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/cli.h"

/* A command that writes down what it was given. */
static int run_echo(struct cli *c, struct err *e)
{
	FILE *out = cli_out(c);
	unsigned it = 0;
	const char *v;
	int64_t n = -1;

	for (unsigned i = 0; i < cli_n_args(c); i++)
		fprintf(out, "%s%s ", i == cli_after_dashes(c) ? "| " : "", cli_arg(c, i));
	while ((v = cli_next_value(c, "veth", &it)))
		fprintf(out, "veth=%s ", v);
	if (cli_has(c, "force"))
		fputs("force ", out);
	if (cli_number(c, "count", 1, 9, &n, e))
		return -1;
	if (n >= 0)
		fprintf(out, "count=%d ", (int)n);
	if (cli_json(c))
		fputs("json ", out);
	return cli_has(c, "force") ? 1 : 0;
}

static const struct cli_opt echo_opts[] = {
	{"veth", 0, "IN=OUT", "map a veth", true},
	{"force", 'f', NULL, "do it anyway", false},
	{"count", 'c', "N", "how many", false},
	{0},
};

static const struct cmd echo = {
	.name = "echo",
	.synopsis = "DB [WORD...]",
	.summary = "print the words",
	.run = run_echo,
	.opts = echo_opts,
	.flags = CMD_OUTPUT | CMD_IMAGE,
	.min_args = 1,
	.max_args = 3,
};

static const struct {
	const char *words, *out;
	int rc;
	const char *says;
} rows[] = {
	{"echo db", "db ", 0, NULL},
	{"echo db -f", "db force ", 1, NULL},
	{"echo --force db", "db force ", 1, NULL},
	{"echo db --veth a=b --veth=c=d", "db veth=a=b veth=c=d ", 0, NULL},
	{"echo db --json", "db json ", 0, NULL},
	{"echo db -c 3", "db count=3 ", 0, NULL},
	{"echo db -c3", "db count=3 ", 0, NULL},
	{"echo db -- --force -x", "db | --force -x ", 0, NULL},
	{"echo db -", "db - ", 0, NULL},
	{"echo db --fo", "db force ", 1, NULL},
	{"echo", "", -1, "too few arguments; usage: nsimg echo DB [WORD...]"},
	{"echo a b c d", "", -1, "'d' is one argument too many"},
	{"echo db --froce", "", -1, "no option --froce; did you mean --force?"},
	{"echo db --color", "", -1, "no option --color"},
	{"echo db -x", "", -1, "no option -x"},
	{"echo db -fx", "", -1, "no option -x"},
	{"echo db --count", "", -1, "option --count needs its N"},
	{"echo db -c", "", -1, "option -c needs its N"},
	{"echo db --force=yes", "", -1, "option --force takes no argument"},
	{"echo db -c 3 -c 4", "", -1, "option --count is given twice"},
	{"echo db -c 12", "db ", -1, "--count: '12' is not a number from 1 to 9"},
	{"echo db -c 1x", "db ", -1, "'1x' is not a number"},
	{"echo db --json --csv", "", -1, "--json and --csv exclude each other"},
};

static int run_words(const char *words, char **out, struct err *e)
{
	auto_free char *copy = strdup(words);
	char *argv[16], *save = NULL;
	size_t len = 0;
	FILE *f = open_memstream(out, &len);
	int argc = 0, rc;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	rc = cli_run_cmd(&echo, argc, argv, f, e);
	fclose(f);
	return rc;
}

static void test_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		auto_free char *out = NULL;

		print_message("%s\n", rows[i].words);
		assert_int_equal(run_words(rows[i].words, &out, &e), rows[i].rc);
		assert_string_equal(out, rows[i].out);
		if (!rows[i].says)
			continue;
		assert_int_equal(e.code, ERR_USAGE);
		print_message("  %s\n", e.msg);
		assert_non_null(strstr(e.msg, rows[i].says));
	}
}

static void test_usage(void **state)
{
	static const char *const lines[] = {
		"usage: nsimg echo DB [WORD...]\nprint the words\n",
		"  --veth IN=OUT          map a veth\n",
		"  -i, --image ID         which image",
		"  -n, --no-header        leave out",
	};
	struct err e = ERR_INIT;
	auto_free char *out = NULL;

	assert_int_equal(run_words("echo --help", &out, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		print_message("%s\n", lines[i]);
		assert_non_null(strstr(out, lines[i]));
	}
}

static const char *name_at(const void *arg, unsigned i)
{
	static const char *const names[] = {"images", "tree", "sockets", "show",
					    "sql",    "plan", NULL};

	return names[i];
}

static void test_nearest(void **state)
{
	static const struct {
		const char *word, *name;
	} near[] = {
		{"image", "images"}, {"imgaes", "images"}, {"sokets", "sockets"},
		{"sock", "sockets"}, {"tre", "tree"},      {"shwo", "show"},
		{"paln", "plan"},    {"sq", "sql"},        {"frobnicate", NULL},
		{"x", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(near); i++) {
		const char *got = cli_nearest(near[i].word, name_at, NULL);

		print_message("%s\n", near[i].word);
		if (near[i].name)
			assert_string_equal(got, near[i].name);
		else
			assert_null(got);
	}
}

static void test_unknown_command(void **state)
{
	static const struct cmd *const cmds[] = {&echo, NULL};
	char prog[] = "nsimg", word[] = "ehco", *argv[] = {prog, word, NULL};
	struct err e = ERR_INIT;
	const char *verb = "x";

	assert_int_equal(cli_run(cmds, 2, argv, &verb, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_string_equal(e.msg, "no command 'ehco'; did you mean 'echo'?");
	assert_null(verb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_unknown_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
