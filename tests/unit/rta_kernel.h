/* rta_kernel.h: what the tests of attribute tables against the kernel and ip(8) share: a script in a namespace, dumps,
 * one column of a message, a message sent again. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/nl.h"
#include "base/ns.h"
#include "proto/rta.h"

/* --- running ip(8) in a namespace --- */

static inline int run(const struct ns *ns, const char *script, struct buf *out)
{
	struct err e = ERR_INIT;
	int pipefd[2], status;
	char chunk[4096];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(pipefd), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (ns_enter(ns_fd(ns), &e))
			_exit(98);
		dup2(pipefd[1], 1);
		dup2(pipefd[1], 2);
		close(pipefd[0]);
		close(pipefd[1]);
		execl("/bin/sh", "sh", "-ec", script, (char *)NULL);
		_exit(99);
	}
	assert_true(pid > 0);
	close(pipefd[1]);
	while ((n = read(pipefd[0], chunk, sizeof(chunk))) > 0)
		assert_int_equal(buf_add(out, chunk, (size_t)n, &e), 0);
	close(pipefd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void must_run(const char *name, const struct ns *ns, const char *script)
{
	auto_buf struct buf out = {0};

	if (script && run(ns, script, &out))
		fail_msg("%s: %s\n%s", name, (char *)out.data, script);
}

static inline struct json *ip_json(const char *name, const struct ns *ns, const char *script)
{
	auto_buf struct buf out = {0};
	struct err e = ERR_INIT;
	struct json *j;

	if (run(ns, script, &out))
		fail_msg("%s: %s: %s", name, script, (char *)out.data);
	if (!out.len)
		return json_new_array();
	j = json_parse((char *)out.data, out.len, &e);
	if (!j)
		fail_msg("%s: %s: %s: %s", name, script, e.msg, (char *)out.data);
	return j;
}

static inline struct ns *new_ns(void)
{
	struct err e = ERR_INIT;
	struct ns *ns;

	if (geteuid()) {
		print_message("skipped: needs root to make namespaces\n");
		skip();
	}
	ns = ns_new(&e);
	if (!ns) {
		print_message("skipped: %s\n", e.msg);
		skip();
	}
	return ns;
}

/* --- dumps --- */

static inline void dump(const struct ns *ns, uint16_t type, uint8_t family, int ifindex,
			struct buf *out)
{
	struct err e = ERR_INIT;
	auto_buf struct buf req = {0};
	struct tcmsg hdr = {.tcm_family = family, .tcm_ifindex = ifindex};
	struct nl *nl = nl_open_in(ns, NETLINK_ROUTE, &e);

	if (!nl)
		fail_msg("%s", e.msg);
	if (nl_msg_begin(&req, type, 0, &hdr, type == RTM_GETNEXTHOP ? 8 : sizeof(hdr) - 4, &e))
		fail_msg("%s", e.msg);
	/* tcmsg is 20 bytes, ifinfomsg 16, rtmsg and ndmsg 12, ifaddrmsg 8: zeros behind are attributes of
	 * length 0 to none of them in a dump request without strict checking */
	if (type == RTM_GETQDISC || type == RTM_GETTCLASS || type == RTM_GETTFILTER) {
		buf_reset(&req);
		assert_int_equal(nl_msg_begin(&req, type, 0, &hdr, sizeof(hdr), &e), 0);
	}
	if (nl_dump_raw(nl, &req, out, "dump", &e))
		fail_msg("dump %u: %s", type, e.msg);
	nl_free(nl);
}

static inline struct span as_span(const struct nlmsghdr *h)
{
	return (struct span){(const uint8_t *)h, h->nlmsg_len};
}

/* One column of a message, copied. */
struct want {
	const char *column;
	struct rta_value value;
	char text[4096];
	bool seen;
};

static inline int take(const char *column, const struct rta_value *v, void *arg, struct err *e)
{
	struct want *w = arg;

	if (strcmp(column, w->column))
		return 0;
	w->value = *v;
	w->seen = true;
	snprintf(w->text, sizeof(w->text), "%s", v->type == RTA_VALUE_TEXT ? v->text : "");
	w->value.text = w->text;
	return 0;
}

static inline struct want column(struct span msg, const char *name)
{
	struct want w = {.column = name};
	struct err e = ERR_INIT;

	if (rta_row_decode(rta_table_of(msg), msg, take, &w, &e))
		fail_msg("%s: %s", name, e.msg);
	if (!w.seen)
		fail_msg("no column %s in %s", name, rta_table_name(rta_table_of(msg)));
	return w;
}

static inline const struct nlmsghdr *find_by(const struct buf *all, const char *name,
					     const char *value)
{
	const struct nlmsghdr *h;
	size_t off = 0;

	while ((h = nl_msg_next(buf_span(all), &off)))
		if (!strcmp(column(as_span(h), name).text, value))
			return h;
	return NULL;
}

static inline int print_diff(const char *path, const char *a, const char *b, void *arg,
			     struct err *e)
{
	print_error("  %s: %s: %s -> %s\n", (char *)arg, path, a ? a : "(none)", b ? b : "(none)");
	return 0;
}

static inline int count_diff(const char *path, const char *a, const char *b, void *arg,
			     struct err *e)
{
	return 0;
}

static inline void send_msg(const char *name, const struct ns *ns, struct buf *msg, uint16_t flags)
{
	struct err e = ERR_INIT;
	auto_buf struct buf out = {0}, line = {0};
	struct nl *nl = nl_open_in(ns, NETLINK_ROUTE, &e);
	struct nlmsghdr h;

	assert_non_null(nl);
	assert_int_equal(buf_add(&out, msg->data, msg->len, &e), 0);
	memcpy(&h, out.data, sizeof(h));
	h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	memcpy(out.data, &h, sizeof(h));
	rta_print(buf_span(msg), NULL, NULL, &line, &e);
	if (nl_do(nl, &out, name, &e)) {
		auto_buf struct buf json = {0};
		struct err ignored = ERR_INIT;

		rta_json(buf_span(&out), &json, &ignored);
		fail_msg("%s: %s: the kernel does not take it: %s\n%s", name, (char *)line.data,
			 e.msg, (char *)json.data);
	}
	nl_free(nl);
}

static inline void send_filtered(const char *name, const struct ns *ns, struct span msg,
				 int purpose, uint16_t flags)
{
	auto_buf struct buf out = {0};
	struct err e = ERR_INIT;

	if (rta_filter(msg, (enum rta_purpose)purpose, &out, &e))
		fail_msg("%s: filter: %s", name, e.msg);
	send_msg(name, ns, &out, flags);
}
