/* Netlink messages of any content: no crash, and a patch that changes nothing gives back the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/nl.h"
#include "proto/rta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct same {
	struct span msg;
	enum rta_table table;
};

static int each_column(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	const struct same *s = arg;
	const struct rta_edit edit = {column, *v};
	struct err ignored = ERR_INIT;
	auto_buf struct buf out = {0};

	if (!rta_row_patch(s->table, s->msg, &edit, 1, &out, &ignored) &&
	    (out.len != s->msg.len || memcmp(out.data, s->msg.data, out.len)))
		abort();
	return 0;
}

static int ignore(const char *path, const char *a, const char *b, void *arg, struct err *e)
{
	abort();
}

static void one(struct span msg)
{
	struct same s = {msg, rta_table_of(msg)};
	auto_buf struct buf out = {0};
	struct err e = ERR_INIT;
	struct nlmsghdr h;

	if (!rta_check(msg, &e)) { /* what follows the message is not part of it */
		memcpy(&h, msg.data, sizeof(h));
		s.msg.len = h.nlmsg_len;
	}
	rta_row_decode(s.table, msg, each_column, &s, &e);
	rta_json(msg, &out, &e);
	rta_print(msg, NULL, NULL, &out, &e);
	rta_filter(msg, RTA_FOR_CREATE, &out, &e);
	rta_filter(msg, RTA_FOR_SET, &out, &e);
	rta_diff(msg, msg, ignore, NULL, &e);
}

static void all_of(struct span all)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_msg_next(all, &off)))
		one((struct span){(const uint8_t *)h, h->nlmsg_len});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = {data, size};

	one(all);
	all_of(all);
	if (size > 4) /* behind the magic of ip-route(8) save */
		all_of((struct span){data + 4, size - 4});
	return 0;
}
