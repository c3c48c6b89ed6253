/* add_rule.c: nsimg add rule. */
#include "inspect/edit/add_int.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"

static int object(struct add *a, const char *word, struct err *e)
{
	int64_t v;

	if (!words_find(WORDS_FAMILY, word, &v) && (v == 2 || v == 10)) {
		a->family = (int)v;
		return 0;
	}
	if (!words_find(WORDS_RULE_ACTION, word, &v) && v >= 6)
		return add_put_num(a, "action", v, e);
	return err_set(e, ERR_USAGE, "'%s' where a keyword should be", word);
}

/* A rule without a priority goes before the first one that has one (fib_default_rule_pref()). */
static int finish(struct add *a, struct err *e)
{
	const struct edit_bind binds[] = {
		{"netns", NULL, a->netns}, {"family", NULL, a->family ? a->family : 2}, {0}};
	int64_t priority = 32765;
	bool found;

	if (!a->family)
		a->family = 2;
	if (!add_has(a, "table") && add_num_of(a, "action") < 6)
		return err_set(e, ERR_USAGE,
			       "a rule needs table TABLE, or blackhole, unreachable, prohibit");
	if (edit_number(
		    a->x,
		    "SELECT min(priority) - 1 FROM rule WHERE netns = :netns AND family = :family "
		    "AND priority > 0",
		    binds, &priority, &found, e))
		return -1;
	return add_put_num(a, "family", a->family, e) || add_default_num(a, "action", 1, e) ||
			       add_default_num(a, "table", 0, e) ||
			       add_default_num(a, "protocol", 3, e) ||
			       add_default_num(a, "priority", priority, e) ||
			       add_default_num(a, "suppress_prefixlength", -1, e) ||
			       add_insert(a, "rule", e)
		       ? -1
		       : 0;
}

/* clang-format off */
static const struct add_word words[] = {
	ADD_WORD_NETNS,
	{"from", "src", ADD_PREFIX, WORDS_NONE, 0},
	{"to", "dst", ADD_PREFIX, WORDS_NONE, 0},
	{"iif", "iif", ADD_TEXT, WORDS_NONE, 0},
	{"oif", "oif", ADD_TEXT, WORDS_NONE, 0},
	{"table", "table", ADD_NUMBER, WORDS_TABLE, 0},
	{"lookup", "table", ADD_NUMBER, WORDS_TABLE, 0},
	{"priority", "priority", ADD_NUMBER, WORDS_NONE, 0},
	{"pref", "priority", ADD_NUMBER, WORDS_NONE, 0},
	{"fwmark", NULL, ADD_MARK, WORDS_NONE, 0},
	{"tos", "tos", ADD_NUMBER, WORDS_NONE, 0},
	{"ipproto", "ipproto", ADD_NUMBER, WORDS_IPPROTO, 0},
	{"sport", "sport", ADD_TEXT, WORDS_NONE, 0},
	{"dport", "dport", ADD_TEXT, WORDS_NONE, 0},
	{"uidrange", "uidrange", ADD_TEXT, WORDS_NONE, 0},
	{"suppress_prefixlength", "suppress_prefixlength", ADD_NUMBER, WORDS_NONE, 0},
	{"protocol", "protocol", ADD_NUMBER, WORDS_RTPROT, 0},
	{"not", NULL, ADD_FLAG, WORDS_NONE, 0x2},
	{0},
};
/* clang-format on */

const struct add_kind add_rule = {"rule", words, object, finish};
