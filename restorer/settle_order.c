/* The order of routes of one prefix and metric, of which the kernel takes the first that fits: as the image has it. */
#include "restorer/steps_net.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proto/rta.h"

/* What routes have in common that come one after the other in the kernel's table. */
struct rank {
	uint32_t table, priority;
	uint8_t family, tos, dst_len, src_len; /* no padding: compared as bytes */
	uint8_t dst[16], src[16];
};

/* A route of the image. */
struct member {
	struct rank rank;
	size_t i;           /* in the order of the image */
	struct span key;    /* as settle_key makes it */
	const uint8_t *msg; /* makes it again */
	size_t at;          /* in the kernel's dump, from 1; 0: not there */
};

static void copy_address(uint8_t to[16], struct span from)
{
	memcpy(to, from.data ? from.data : to, from.len <= 16 ? from.len : 16);
}

static void rank_of(const struct nlmsghdr *h, struct rank *out)
{
	const struct rtmsg *rtm = NLMSG_DATA(h);
	struct span msg = {(const uint8_t *)h, h->nlmsg_len};

	memset(out, 0, sizeof(*out));
	out->table = rta_get_u32(msg, RTA_PATH(RTA_TABLE), rtm->rtm_table);
	out->priority = rta_get_u32(msg, RTA_PATH(RTA_PRIORITY), 0);
	out->family = rtm->rtm_family;
	out->tos = rtm->rtm_tos;
	out->dst_len = rtm->rtm_dst_len;
	out->src_len = rtm->rtm_src_len;
	copy_address(out->dst, rta_get(msg, RTA_PATH(RTA_DST)));
	copy_address(out->src, rta_get(msg, RTA_PATH(RTA_SRC)));
}

static int by_rank(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int order = memcmp(&x->rank, &y->rank, sizeof(x->rank));

	return order ? order : (x->i > y->i) - (x->i < y->i);
}

static int by_key(const void *a, const void *b)
{
	const struct member *x = *(const struct member *const *)a;
	const struct member *y = *(const struct member *const *)b;

	if (x->key.len != y->key.len)
		return x->key.len < y->key.len ? -1 : 1;
	return memcmp(x->key.data, y->key.data, x->key.len);
}

/* An IPv6 route of metric 0 is the kernel's alone (settle.c). */
static bool is_movable(const struct rank *r)
{
	return r->family != AF_INET6 || r->priority;
}

/* Those that share their rank with another one, by rank and then as the image has them. */
static int members_of(const struct settle_data *d, struct member **out, size_t *n_out,
		      struct err *e)
{
	size_t n = 0, kept = 0, off = 0, at = 0, i = 0;
	const struct nlmsghdr *h;
	struct member *all;
	uint32_t len;

	*out = NULL;
	*n_out = 0;
	while (nl_msg_next(buf_span(&d->msgs), &off))
		n++;
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		return err_set(e, ERR_NOMEM, "order of routes");
	/* keys and messages are in the same order */
	for (off = 0; (h = nl_msg_next(buf_span(&d->msgs), &off)); at += 4 + len, i++) {
		memcpy(&len, d->keys.data + at, sizeof(len));
		all[i] = (struct member){
			.i = i, .key = {d->keys.data + at + 4, len}, .msg = (const uint8_t *)h};
		rank_of(h, &all[i].rank);
	}
	if (n)
		qsort(all, n, sizeof(*all), by_rank);
	for (i = 0; i < n; i++) {
		bool same_before = i && !memcmp(&all[i].rank, &all[i - 1].rank, sizeof(all->rank));
		bool same_after =
			i + 1 < n && !memcmp(&all[i].rank, &all[i + 1].rank, sizeof(all->rank));

		/* the one kept last is never behind the one looked at, nor needed any more */
		if ((same_before || same_after) && is_movable(&all[i].rank))
			all[kept++] = all[i];
	}
	*out = all;
	*n_out = kept;
	return 0;
}

/* Where the kernel has them. */
static int find_places(struct member *all, size_t n, uint16_t type, struct span now, struct err *e)
{
	auto_free struct member **sorted = calloc(n + 1, sizeof(*sorted));
	auto_buf struct buf key = {0};
	const struct nlmsghdr *h;
	size_t off = 0, at = 0;

	if (!sorted)
		return err_set(e, ERR_NOMEM, "order of routes");
	for (size_t i = 0; i < n; i++)
		sorted[i] = &all[i];
	qsort(sorted, n, sizeof(struct member *), by_key);
	while ((h = nl_msg_next(now, &off))) {
		struct member want, *w = &want, **found;

		at++;
		buf_reset(&key);
		if (h->nlmsg_type != type)
			continue;
		if (settle_key(h, &key, e))
			return -1;
		want.key = buf_span(&key);
		found = bsearch(&w, sorted, n, sizeof(struct member *), by_key);
		if (found && !(*found)->at)
			(*found)->at = at;
	}
	return 0;
}

/* Take away and append: from the first one that comes too late in the kernel's order, all. */
static int put_in_order(struct restore *r, const struct step *s, const struct member *all, size_t n,
			struct err *e)
{
	const struct settle_data *d = s->data;
	bool late = false;
	size_t last = 0;

	for (size_t i = 0; i < n; i++) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)all[i].msg;
		struct span msg = {all[i].msg, h->nlmsg_len};

		if (!all[i].at)
			continue;
		late = late || all[i].at < last;
		last = all[i].at;
		if (late && (settle_remove(restore_rtnl(r, s->netns, e), h, e) ||
			     send_route(r, s->netns, msg,
					NLM_F_CREATE | (d->family == AF_INET ? NLM_F_APPEND : 0),
					false, e)))
			return err_wrap(e, "put routes in order");
	}
	return 0;
}

int settle_order(struct restore *r, const struct step *s, struct span now, struct err *e)
{
	const struct settle_data *d = s->data;
	auto_free struct member *all = NULL;
	size_t n, same;

	if (members_of(d, &all, &n, e) || (n && find_places(all, n, d->type, now, e)))
		return -1;
	for (size_t i = 0; i < n; i += same) {
		for (same = 1;
		     i + same < n && !memcmp(&all[i].rank, &all[i + same].rank, sizeof(all->rank));)
			same++;
		if (put_in_order(r, s, &all[i], same, e))
			return -1;
	}
	return 0;
}
