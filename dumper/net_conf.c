#include "dumper/net_conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { TEXT_MAX = 64 };

/* What CRIU reads is the file as it is, with its final newline; texts here are ranges and addresses. */
struct conf_text {
	char text[TEXT_MAX];
};

static void net_conf_fill(const struct net_conf *c, const struct sysctls *s, enum sysctl_list list,
			  size_t pos, int whose, SysctlEntry *entry, struct conf_text *text)
{
	struct sysctl_value v = {0};
	char *end;

	sysctl_entry__init(entry);
	entry->type = sysctl_is_text(list, pos) ? SYSCTL_TYPE__CTL_STR : SYSCTL_TYPE__CTL_32;
	if (!sysctls_listed(s, list, pos, whose, &v) || (v.text && !*v.text))
		return;
	if (entry->type == SYSCTL_TYPE__CTL_STR) {
		if (!v.text || strlen(v.text) + 2 > TEXT_MAX ||
		    (c->no_secrets && strstr(sysctl_name(list, pos), "secret")))
			return;
		strcpy(text->text, v.text);
		strcat(text->text, "\n");
		entry->sarg = text->text;
		return;
	}
	if (v.text) {
		v.number = strtoll(v.text, &end, 10);
		if (*end)
			return;
	}
	entry->has_iarg = true;
	entry->iarg = (int32_t)v.number;
}

int net_conf_list(struct net_conf *c, const struct sysctls *s, enum sysctl_list list, int whose,
		  size_t *n, SysctlEntry ***out, struct err *e)
{
	size_t count = sysctl_count(list);
	size_t each = sizeof(SysctlEntry *) + sizeof(SysctlEntry) + sizeof(struct conf_text);
	SysctlEntry **list_out, *entries;
	struct conf_text *texts;
	char *block;

	if (c->n_blocks == ARRAY_SIZE(c->blocks))
		return err_set(e, ERR_RANGE, "more sysctl lists than a message has");
	block = calloc(count ? count : 1, each);
	if (!block)
		return err_set(e, ERR_NOMEM, "list of sysctls");
	c->blocks[c->n_blocks++] = block;
	list_out = (void *)block;
	entries = (void *)(block + count * sizeof(*list_out));
	texts = (void *)(block + count * (sizeof(*list_out) + sizeof(*entries)));
	for (size_t i = 0; i < count; i++) {
		list_out[i] = &entries[i];
		net_conf_fill(c, s, list, i, whose, &entries[i], &texts[i]);
	}
	*n = count;
	*out = list_out;
	return 0;
}

void net_conf_free(struct net_conf *c)
{
	for (unsigned i = 0; i < c->n_blocks; i++)
		free(c->blocks[i]);
	c->n_blocks = 0;
}
