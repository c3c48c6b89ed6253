#include "restorer/criu_conns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/netlock.h"
#include "base/nft.h"
#include "base/ns.h"
#include "base/run.h"
#include "proto/inet.h"

/* As iptables-save writes it (SOCCR_MARK in soccr/soccr.h). */
#define NOT_CRIU "! --mark 0xc114"

enum { N_WORDS = 32 };

/* The word behind option; "" when it has none. */
static const char *value_of(char *const *words, size_t n, const char *option)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (!strcmp(words[i], option))
			return words[i + 1];
	return "";
}

/* Of a connection of the image, in one direction or the other? */
static bool is_meant(const struct buf *ends, char *const *words, size_t n)
{
	const char *const addr[] = {value_of(words, n, "-s"), value_of(words, n, "-d")};
	const char *const port[] = {value_of(words, n, "--sport"), value_of(words, n, "--dport")};
	char line[256], back[256];
	int len[2];

	for (int i = 0; i < 2; i++)
		len[i] = (int)strcspn(addr[i], "/");
	snprintf(line, sizeof(line), "\n%.*s %s %.*s %s\n", len[0], addr[0], port[0], len[1],
		 addr[1], port[1]);
	snprintf(back, sizeof(back), "\n%.*s %s %.*s %s\n", len[1], addr[1], port[1], len[0],
		 addr[0], port[0]);
	return strstr((const char *)ends->data, line) || strstr((const char *)ends->data, back);
}

/* One line "-A CHAIN ..." of iptables-save; its blanks are overwritten. */
static int drop_rule(const struct buf *ends, const char *program, char *line, struct err *e)
{
	const char *argv[N_WORDS + 4] = {program, "-t", "filter", "-D"};
	auto_buf struct buf out = {0};
	char *words[N_WORDS], *rest = NULL;
	size_t n = 0;

	if (!strstr(line, NOT_CRIU) || strncmp(line, "-A ", 3) != 0)
		return 0;
	for (char *w = strtok_r(line, " ", &rest); w && n < N_WORDS - 1;
	     w = strtok_r(NULL, " ", &rest))
		words[n++] = w;
	if (n < 2 || !is_meant(ends, words, n) || strcmp(words[n - 1], "DROP") != 0)
		return 0;
	memcpy(argv + 4, words + 1, (n - 1) * sizeof(*words));
	return run_filter(argv, (struct span){0}, &out, e);
}

/* In the namespace. */
static int unlock_job(void *arg, struct err *e)
{
	static const char *const programs[][2] = {{"iptables-save", "iptables"},
						  {"ip6tables-save", "ip6tables"}};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		const char *const argv[] = {programs[i][0], "-t", "filter", NULL};
		auto_buf struct buf rules = {0};
		struct err absent = ERR_INIT;
		char *rest = NULL;

		/* without the program CRIU made no such rules, either */
		if (run_filter(argv, (struct span){0}, &rules, &absent) || !rules.len)
			continue;
		for (char *line = strtok_r((char *)rules.data, "\n", &rest); line;
		     line = strtok_r(NULL, "\n", &rest))
			if (drop_rule(arg, programs[i][1], line, e))
				return -1;
	}
	return 0;
}

/* The connections of a namespace: addresses and ports. */
static struct query *conns_query(const struct restore *r, int64_t netns, struct err *e)
{
	auto_query struct query *q = query_new(
		r->db,
		"SELECT s.family, i.src, i.src_port, i.dst, i.dst_port FROM socket s JOIN "
		"inet_socket i ON i.socket = s.id WHERE s.image = :image AND s.netns = :netns AND "
		"s.protocol = 6 AND s.type = 1 AND s.state NOT IN (7, 10) AND i.dst_port > 0",
		e);

	if (!q || query_bind_int(q, "image", r->image, e) || query_bind_int(q, "netns", netns, e))
		return NULL;
	return take_ptr(q);
}

static int end_read(const struct query *q, int at, union netlock_end *end, struct err *e)
{
	const int family = (int)query_int(q, 0);
	uint8_t addr[16];
	size_t len;

	if (inet_parse(query_text(q, at), family, addr, &len, e))
		return -1;
	end->sa.sa_family = (sa_family_t)family;
	end->v4.sin_port = htons((uint16_t)query_int(q, at + 1));
	memcpy(family == AF_INET ? (void *)&end->v4.sin_addr : &end->v6.sin6_addr, addr, len);
	return 0;
}

static int stop_in(const struct restore *r, struct restore_netns *n, struct err *e)
{
	auto_query struct query *q = conns_query(r, n->row, e);
	auto_buf struct buf conns = {0};
	int got;

	if (!q)
		return -1;
	while ((got = query_next(q, e)) == 1) {
		struct netlock_conn c = {0};

		if (end_read(q, 1, &c.here, e) || end_read(q, 3, &c.there, e) ||
		    buf_add(&conns, &c, sizeof(c), e))
			return -1;
	}
	if (got || !conns.len)
		return got;
	n->held = netlock_hold(ns_fd(n->ns), (const struct netlock_conn *)conns.data,
			       conns.len / sizeof(struct netlock_conn), e);
	return n->held ? 0 : -1;
}

int criu_conns_lock(struct restore *r, struct err *e)
{
	for (size_t i = 0; i < r->n_netns; i++)
		if (r->netns[i].external && r->netns[i].ns && stop_in(r, &r->netns[i], e))
			return err_wrap(e, "%s", r->netns[i].name);
	return 0;
}

/* Lines "SOURCE PORT DESTINATION PORT". */
static int list_ends(const struct restore *r, int64_t netns, struct buf *out, struct err *e)
{
	auto_query struct query *q = conns_query(r, netns, e);
	int got;

	if (!q || buf_add_str(out, "\n", e))
		return -1;
	while ((got = query_next(q, e)) == 1)
		if (buf_printf(out, e, "%s %d %s %d\n", query_text(q, 1), (int)query_int(q, 2),
			       query_text(q, 3), (int)query_int(q, 4)))
			return -1;
	return got;
}

int criu_conns_unlock(struct restore *r, struct err *e)
{
	for (size_t i = 0; i < r->n_netns; i++) {
		struct restore_netns *n = &r->netns[i];
		auto_buf struct buf ends = {0};

		if (!n->external || !n->ns)
			continue;
		nft_release(take_ptr(n->held));
		if (list_ends(r, n->row, &ends, e))
			return -1;
		if (ends.len > 1 && ns_call(n->ns, unlock_job, &ends, e))
			return err_wrap(e, "%s", n->name);
	}
	return 0;
}
