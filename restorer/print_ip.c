/* Steps as commands of ip(8), for those who want to read along. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "restorer/steps_net.h"

/* Control characters and broken UTF-8: bash's $'...' reads the escapes that escape_add writes. */
static int odd_word(struct buf *out, const char *s, struct err *e)
{
	auto_buf struct buf text = {0};

	if (escape_add(&text, s, strlen(s), e) || buf_add_str(out, "$'", e))
		return -1;
	for (size_t i = 0; i < text.len; i++)
		if ((text.data[i] == '\'' && buf_add_str(out, "\\", e)) ||
		    buf_add(out, text.data + i, 1, e))
			return -1;
	return buf_add_str(out, "'", e);
}

/* A word of the shell: names out of a database may hold anything, and somebody may paste the output. */
static int word(struct buf *out, const char *s, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_.:@/,+=%-";

	if (*s && s[strspn(s, plain)] == 0)
		return buf_add_str(out, s, e);
	if (!escape_is_canonical(s, strlen(s)))
		return odd_word(out, s, e);
	if (buf_add_str(out, "'", e))
		return -1;
	for (; *s; s++)
		if (*s == '\'' ? buf_add_str(out, "'\\''", e) : buf_add(out, s, 1, e))
			return -1;
	return buf_add_str(out, "'", e);
}

/* "%" in fmt is the next of the words; a NULL word is "?". */
static int command(struct buf *out, struct err *e, const char *fmt, const char *const *words)
{
	for (; *fmt; fmt++)
		if (*fmt == '%' ? word(out, *words ? *words : "?", e) : buf_add(out, fmt, 1, e))
			return -1;
		else if (*fmt == '%')
			words++;
	return buf_add_str(out, "\n", e);
}

/* The last word of the object: the peer, the master or the other namespace. */
static const char *last_word(const struct step *s)
{
	const char *space = strrchr(s->object, ' ');

	return space ? space + 1 : s->object;
}

int print_ip_netns(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		   struct err *e)
{
	return command(out, e, "ip netns add %", (const char *[]){ns, NULL});
}

int print_ip_nsid(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)s->num);
	return command(out, e, "ip -n % netns set % %",
		       (const char *[]){ns, last_word(s), id, NULL});
}

int print_ip_link(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e)
{
	const struct link_data *d = s->data;
	char index[16];

	snprintf(index, sizeof(index), "%d", d->ifindex);
	if (!strcmp(s->kind->name, "tun"))
		return command(out, e, "ip -n % tuntap add dev % mode tun",
			       (const char *[]){ns, d->name, NULL});
	return command(out, e, "ip -n % link add % index % type %",
		       (const char *[]){ns, d->name, index, d->kind, NULL});
}

int print_ip_veth(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		  struct err *e)
{
	const struct link_data *d = s->data;
	char index[16];

	snprintf(index, sizeof(index), "%d", d->ifindex);
	if (!d->peer_ns)
		return command(out, e, "ip -n % link add % index % type veth peer name % netns 1",
			       (const char *[]){ns, d->name, index, d->out, NULL});
	return command(out, e, "ip -n % link add % index % type veth peer name % netns %",
		       (const char *[]){ns, d->name, index, last_word(s), d->peer_ns, NULL});
}

int print_ip_master(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		    struct err *e)
{
	const struct link_data *d = s->data;

	return command(out, e, "ip -n % link set % master %",
		       (const char *[]){ns, d->name, last_word(s), NULL});
}

int print_ip_up(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		struct err *e)
{
	const struct link_data *d = s->data;

	return command(out, e, "ip -n % link set % up", (const char *[]){ns, d->name, NULL});
}

int print_ip_sysctl(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		    struct err *e)
{
	const struct sysctl_data *d = s->data;

	if (s->num)
		return 0;
	for (size_t i = 0; i < d->n; i++) {
		char *arg = NULL;
		int ret;

		if (asprintf(&arg, "%s=%s", d->items[i].name, d->items[i].value) < 0)
			return err_set(e, ERR_NOMEM, "command");
		ret = command(out, e, "ip netns exec % sysctl -w %",
			      (const char *[]){ns, arg, NULL});
		free(arg);
		if (ret)
			return -1;
	}
	return 0;
}

/* May the object's text stand in a command as it is? */
static bool is_plain(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    " _.:@/,+=%-";

	return s[strspn(s, plain)] == 0;
}

/* The text after the name of the namespace is in the words of ip and bridge; two kinds begin with what their
 * command does not take. */
static int print_words(const char *kind, const char *words, struct buf *out, struct err *e)
{
	const char *colon;

	if (!strcmp(kind, "address"))
		words += strcspn(words, " ") + (strchr(words, ' ') ? 1 : 0);
	if (strcmp(kind, "rule"))
		return buf_printf(out, e, "%s\n", words);
	colon = strchr(words, ':');
	if (!colon)
		return buf_printf(out, e, "%s\n", words);
	return buf_printf(out, e, "priority %.*s%s\n", (int)(colon - words), words, colon + 1);
}

int print_ip_message(const struct plan *p, const struct step *s, const char *ns, struct buf *out,
		     struct err *e)
{
	static const struct {
		const char *kind, *command;
	} rows[] = {
		{"address", "ip -n % address add "}, {"neighbour", "ip -n % neighbour add "},
		{"nexthop", "ip -n % nexthop add "}, {"route-direct", "ip -n % route append "},
		{"route", "ip -n % route append "},  {"rule", "ip -n % rule add "},
		{"fdb", "bridge -n % fdb append "},
	};
	size_t skip = strlen(ns) + 1;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *at = strchr(rows[i].command, '%');

		if (strcmp(rows[i].kind, s->kind->name) || strlen(s->object) < skip ||
		    !is_plain(s->object + skip))
			continue;
		return buf_add(out, rows[i].command, at - rows[i].command, e) || word(out, ns, e) ||
				       buf_add_str(out, at + 1, e) ||
				       print_words(s->kind->name, s->object + skip, out, e)
			       ? -1
			       : 0;
	}
	return buf_printf(out, e, "# %s %s\n", s->kind->name, s->object);
}
