/* add_neighbour.c: nsimg add neighbour. */
#include "inspect/edit/add_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static int object(struct add *a, const char *word, struct err *e)
{
	if (add_has(a, "dst"))
		return err_set(e, ERR_USAGE, "'%s' where a keyword should be", word);
	snprintf(a->plain, sizeof(a->plain), "%s", word);
	return add_put_address(a, "dst", word, e);
}

static int finish(struct add *a, struct err *e)
{
	if (!add_has(a, "dst") || !a->has_dev)
		return err_set(e, ERR_USAGE, "a neighbour needs its address and dev DEVICE");
	if (!add_has(a, "lladdr") && !(add_num_of(a, "flags") & 8))
		return err_set(e, ERR_USAGE, "a neighbour needs lladdr ADDRESS (or proxy)");
	if (add_refuse_double(
		    a,
		    "SELECT 1 FROM neighbour WHERE netns = :netns AND ifindex = :ifindex AND dst = "
		    ":dst AND flags & 8 = 0",
		    add_value_of(a, "dst")->text, e))
		return -1;
	return add_put_num(a, "family", a->family, e) || add_put_num(a, "ifindex", a->ifindex, e) ||
			       add_default_num(a, "state", add_num_of(a, "flags") & 8 ? 0 : 0x80,
					       e) ||
			       add_default_num(a, "flags", 0, e) ||
			       add_default_num(a, "type", 1, e) || add_insert(a, "neighbour", e)
		       ? -1
		       : 0;
}

/* clang-format off */
static const struct add_word words[] = {
	ADD_WORD_DEV,
	ADD_WORD_NETNS,
	{"lladdr", "lladdr", ADD_LLADDR, WORDS_NONE, 0},
	{"nud", "state", ADD_NUMBER, WORDS_NUD, 0},
	{"proxy", NULL, ADD_FLAG, WORDS_NONE, 0x8},
	{"router", NULL, ADD_FLAG, WORDS_NONE, 0x80},
	{"protocol", "protocol", ADD_NUMBER, WORDS_RTPROT, 0},
	{0},
};
/* clang-format on */

const struct add_kind add_neighbour = {"neighbour", words, object, finish};
