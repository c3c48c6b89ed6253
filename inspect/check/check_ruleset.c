/* Rulesets that break off. They are text without a length (nft list ruleset(8), iptables-save(8)), so a file that was
 * cut is taken as whole by an import. Blocks are counted, and no rule is understood. */
#include <stdio.h>
#include <string.h>

#include "inspect/check/check.h"

/* What is wrong with the blocks of nft, "" when nothing is: where they are left open, or closed once too often. */
static void blocks_of_nft(const char *text, char *wrong, size_t size)
{
	size_t depth = 0, line = 1, opened = 0;
	char quote = 0, last = '}';

	*wrong = 0;
	for (const char *c = text; *c; c++) {
		if (*c == '\n')
			line++;
		last = strchr(" \t\n", *c) ? last : *c;
		if (quote) {
			quote = *c == quote ? 0 : quote;
		} else if (*c == '"') {
			quote = *c;
			opened = line;
		} else if (*c == '#') {
			c += strcspn(c, "\n") - 1;
			last = '}';
		} else if (*c == '{') {
			opened = depth++ ? opened : line;
		} else if (*c == '}' && !depth--) {
			snprintf(wrong, size, "line %zu closes a block that was not opened", line);
			return;
		}
	}
	if (quote)
		snprintf(wrong, size, "it ends in the text that begins in line %zu", opened);
	else if (depth)
		snprintf(wrong, size, "it ends in the block that begins in line %zu", opened);
	else if (last != '}')
		snprintf(wrong, size, "it ends in the middle of line %zu", line);
}

/* The same of iptables-save: each table ("*filter") ends with a line COMMIT. */
static void tables_of_iptables(const char *text, char *wrong, size_t size)
{
	size_t line = 1, opened = 0;

	*wrong = 0;
	for (const char *c = text; *c; line++) {
		size_t n = strcspn(c, "\n");

		if (*c == '*')
			opened = line;
		if (n == strlen("COMMIT") && !strncmp(c, "COMMIT", n))
			opened = 0;
		c += n + (c[n] == '\n');
	}
	if (opened)
		snprintf(wrong, size, "it ends in the table that begins in line %zu", opened);
}

const char check_ruleset_reads[] =
	"SELECT id, format = 'nftables', content FROM firewall WHERE image = :image ORDER BY id";

int check_ruleset(struct check_list *list, struct db *db, int64_t image, struct err *e)
{
	auto_query struct query *q = query_new(db, check_ruleset_reads, e);
	int rc;

	if (!q || query_bind_int(q, "image", image, e))
		return -1;
	while ((rc = query_next(q, e)) == 1) {
		char wrong[100];

		(query_int(q, 1) ? blocks_of_nft : tables_of_iptables)(query_text(q, 2), wrong,
								       sizeof(wrong));
		if (*wrong && check_add(list, "firewall", query_int(q, 0), wrong, e))
			return -1;
	}
	return rc;
}
