/* What is particular to a family: addresses, groups, rings; and how sockets belong together. */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/u64map.h"
#include "proto/inet.h"
#include "restorer/sk_spec.h"

enum { UNIX_PATH_MAX = 3800 };                     /* of the folder or the file of a unix socket */
enum { ESTABLISHED = 1, CLOSED = 7, LISTEN = 10 }; /* TCP_* of <netinet/tcp.h>, for all families */

/* ---- inet ---- */

/* text may be NULL: any address. ERR_FORMAT for one of the other family. */
static int set_inet(struct sockaddr_storage *ss, socklen_t *len, int family, const char *text,
		    uint16_t port, uint32_t scope, struct err *e)
{
	uint8_t addr[16] = {0};
	size_t n;

	if (text && inet_parse(text, family, addr, &n, e))
		return -1;
	memset(ss, 0, sizeof(*ss));
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, addr, 4);
		*len = sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		in6->sin6_scope_id = scope;
		memcpy(&in6->sin6_addr, addr, 16);
		*len = sizeof(*in6);
	}
	return 0;
}

static bool is_any(const struct sockaddr_storage *ss)
{
	static const uint8_t zero[16];

	if (ss->ss_family == AF_INET)
		return !((const struct sockaddr_in *)ss)->sin_addr.s_addr;
	return !memcmp(&((const struct sockaddr_in6 *)ss)->sin6_addr, zero, 16);
}

static const struct {
	uint32_t kinds;
	const char *name;
} transports[] = {
	{SOCKOPT_TCP, "tcp"},   {SOCKOPT_UDP, "udp"},   {SOCKOPT_UDPLITE, "udplite"},
	{SOCKOPT_RAW, "raw"},   {SOCKOPT_PING, "ping"}, {SOCKOPT_MPTCP, "mptcp"},
	{SOCKOPT_SCTP, "sctp"},
};

static int inet_label(struct sk_file *f, const struct spec_row *r, uint32_t kind, struct err *e)
{
	const char *name = "inet", *six = f->family == AF_INET6 ? "6" : "";
	const char *src = spec_text(r, "src");
	bool v6 = src && strchr(src, ':');

	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		if (transports[i].kinds & kind)
			name = transports[i].name;
	if (!src)
		src = f->family == AF_INET6 ? "::" : "0.0.0.0";
	return sk_set_label(f, e, "%s%s %s%s%s:%lld", name, six, v6 ? "[" : "", src, v6 ? "]" : "",
			    (long long)spec_int(r, "src_port", 0));
}

static const char *tcp_state(int state)
{
	static const char *const names[] = {
		[ESTABLISHED] = "established",
		[2] = "syn-sent",
		[3] = "syn-recv",
		[4] = "fin-wait-1",
		[5] = "fin-wait-2",
		[6] = "time-wait",
		[8] = "close-wait",
		[9] = "last-ack",
		[11] = "closing",
	};

	return state > 0 && (size_t)state < ARRAY_SIZE(names) && names[state] ? names[state]
									      : "unknown";
}

int sk_load_inet(struct sk_file *f, const struct spec_row *r, struct err *e)
{
	uint32_t kind = sockopt_kind(f->family, f->type, f->protocol);
	int64_t sport = spec_int(r, "src_port", 0), dport = spec_int(r, "dst_port", 0);

	if (inet_label(f, r, kind, e))
		return -1;
	if (sport < 0 || sport > UINT16_MAX || dport < 0 || dport > UINT16_MAX)
		return err_set(e, ERR_RANGE, "ports %lld and %lld: 0 to 65535 are possible",
			       (long long)sport, (long long)dport);
	if (!(kind & (SOCKOPT_TCP | SOCKOPT_UDP | SOCKOPT_UDPLITE | SOCKOPT_RAW | SOCKOPT_PING)))
		return sk_leave_out(f, e, "sockets of protocol %d are recorded, not restored",
				    f->protocol);
	if ((kind & SOCKOPT_TCP) && f->state != LISTEN && f->state != CLOSED)
		return sk_leave_out(f, e,
				    "a TCP connection (%s) is recorded, not restored: its sequence "
				    "numbers are not in the image",
				    tcp_state(f->state));
	if (set_inet(&f->local, &f->local_len, f->family, spec_text(r, "src"), (uint16_t)sport,
		     (uint32_t)spec_int(r, "src_scope", 0), e) ||
	    set_inet(&f->peer, &f->peer_len, f->family, spec_text(r, "dst"), (uint16_t)dport,
		     (uint32_t)spec_int(r, "dst_scope", 0), e))
		return -1;
	/* A raw socket has its protocol for a port (inet_num), which is none to bind to. */
	if (is_any(&f->local) && (!sport || (kind & SOCKOPT_RAW)))
		f->local_len = 0;
	if (f->state != ESTABLISHED || is_any(&f->peer))
		f->peer_len = 0;
	f->listens = f->state == LISTEN;
	f->backlog = (int)spec_int(r, "queue_limit", 0);
	f->bind_order = spec_int(r, "bind_order", -1);
	f->v6only = spec_int(r, "v6only", 0);
	if (spec_text(r, "ifname") && *spec_text(r, "ifname")) {
		f->scope_device = spec_strdup(spec_text(r, "ifname"), e);
		return f->scope_device ? 0 : -1;
	}
	return 0;
}

/* ---- unix ---- */

static const char *unix_type(int type)
{
	return type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "dgram" : "seqpacket";
}

static int set_unix(struct sk_file *f, const char *name, struct err *e)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&f->local;
	auto_buf struct buf bytes = {0};
	size_t len;

	if (escape_undo(&bytes, name, strlen(name), e))
		return -1;
	len = bytes.len;
	f->un.is_path = len && bytes.data[0];
	/* CRIU counts the zero byte after a path, as the kernel does. */
	while (f->un.is_path && len && !bytes.data[len - 1])
		len--;
	if (len > sizeof(un->sun_path))
		return err_set(e, ERR_RANGE, "unix name of %zu bytes: at most %zu fit", len,
			       sizeof(un->sun_path));
	memset(un, 0, sizeof(f->local));
	un->sun_family = AF_UNIX;
	if (len)
		memcpy(un->sun_path, bytes.data, len);
	f->local_len = (socklen_t)(len ? offsetof(struct sockaddr_un, sun_path) + len +
						   (f->un.is_path && len < sizeof(un->sun_path))
				       : 0);
	return 0;
}

/* A datagram socket whose peer is closed keeps the peer's address. */
static int load_closed_peer(struct sk_file *f, const struct spec_row *r, struct err *e)
{
	int col = spec_col(r, "peer_addr");
	struct span addr = col < 0 ? (struct span){0} : query_blob(r->q, col);

	if (!addr.len || f->type != SOCK_DGRAM)
		return 0;
	if (addr.len < sizeof(sa_family_t) || addr.len > sizeof(struct sockaddr_un))
		return err_set(e, ERR_RANGE, "peer_addr of %zu bytes", addr.len);
	memcpy(&f->peer, addr.data, addr.len);
	f->peer.ss_family = AF_UNIX;
	f->peer_len = (socklen_t)addr.len;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int keep_text(char **to, const char *text, size_t n, struct err *e)
{
	*to = strndup(text, n);
	return *to ? 0 : err_set(e, ERR_NOMEM, "the file of a socket");
}

/* Was it bound in another root (chroot(2))? Then that is what comes before its name. And was the file renamed after bind(2)
 * (programs so put it in the place of an older one)? Its last name alone tells: a path that differs before that led
 * through a link. */
static int load_bound(struct sk_file *f, const char *name, const char *bound, struct err *e)
{
	size_t n_name = (size_t)(base_name(name) - name), n = (size_t)(base_name(bound) - bound);
	bool same_folder = n > n_name && !strncmp(bound + n - n_name, name, n_name);
	bool renamed = strcmp(base_name(name), base_name(bound));

	if (*bound != '/')
		return 0;
	n -= same_folder ? n_name : 0;
	if (*name == '/' && same_folder && keep_text(&f->un.root, bound, n, e))
		return -1;
	if (!renamed)
		return 0;
	if (*name != '/' && keep_text(&f->un.dir, bound, n > 1 ? n - 1 : 1, e))
		return -1;
	bound += f->un.root ? n : 0;
	return keep_text(&f->un.file, bound, strlen(bound), e);
}

/* Texts of the database without their escapes. */
static int load_file(struct sk_file *f, const char *name, const char *bound, struct err *e)
{
	auto_buf struct buf n = {0}, b = {0};

	if (!f->un.is_path || f->un.deleted || !bound)
		return 0;
	if (escape_undo(&n, name, strlen(name), e) || escape_undo(&b, bound, strlen(bound), e) ||
	    buf_add(&n, "", 1, e) || buf_add(&b, "", 1, e))
		return -1;
	if (b.len > UNIX_PATH_MAX)
		return err_set(e, ERR_RANGE, "the file of %s has a path of %zu bytes", f->label,
			       b.len);
	return load_bound(f, (const char *)n.data, (const char *)b.data, e);
}

/* A relative name that leads out of the folder it began in ("../../a") does not tell which that was: the socket is bound by the
 * path of its file, so that clients find it. */
static int bind_by_path(struct sk_file *f, const char *bound, struct err *e)
{
	if (strlen(bound) > sizeof(((struct sockaddr_un *)0)->sun_path))
		return sk_leave_out(f, e,
				    "its name is relative to a folder that is not known, and the "
				    "path of its file too long for a name");
	f->un.by_path = true;
	return set_unix(f, bound, e);
}

int sk_load_unix(struct sk_file *f, const struct spec_row *r, struct err *e)
{
	const char *name = spec_text(r, "name") ? spec_text(r, "name") : "";
	const char *dir = spec_text(r, "name_dir");
	const char *bound = spec_text(r, "bound_path");

	if (set_unix(f, name, e))
		return -1;
	if (!strncmp(name, "\\x00", 4)
		    ? sk_set_label(f, e, "unix %s @%s", unix_type(f->type), name + 4)
	    : *name ? sk_set_label(f, e, "unix %s %s", unix_type(f->type), name)
		    : sk_set_label(f, e, "unix %s inode %u", unix_type(f->type), f->ino))
		return -1;
	f->un.peer_ino = (uint32_t)spec_int(r, "peer", 0);
	f->un.deleted = spec_int(r, "deleted", 0);
	f->un.mode = spec_int(r, "file_mode", -1);
	f->un.uid = spec_int(r, "file_uid", -1);
	f->un.gid = spec_int(r, "file_gid", -1);
	f->listens = f->state == LISTEN;
	f->backlog = (int)spec_int(r, "queue_limit", 0);
	if (load_closed_peer(f, r, e) || load_file(f, name, bound, e))
		return -1;
	if (!f->un.is_path || name[0] == '/')
		return 0;
	if (!dir || !*dir)
		return bound && !f->un.deleted && !f->un.file ? bind_by_path(f, bound, e) : 0;
	if (strlen(dir) > UNIX_PATH_MAX)
		return err_set(e, ERR_RANGE, "the folder of %s has a path of %zu bytes", f->label,
			       strlen(dir));
	free(f->un.dir);
	f->un.dir = spec_strdup(dir, e);
	return f->un.dir ? 0 : -1;
}

/* ---- netlink ---- */

int sk_load_netlink(struct sk_file *f, const struct spec_row *r, struct err *e)
{
	const char *text = spec_text(r, "groups") ? spec_text(r, "groups") : "[]";
	auto_json struct json *j = json_parse(text, strlen(text), e);
	size_t n = json_len(j);

	if (!j)
		return -1;
	f->nl.portid = (uint32_t)spec_int(r, "portid", 0);
	f->nl.dst_portid = (uint32_t)spec_int(r, "dst_portid", 0);
	f->nl.dst_group = (uint32_t)spec_int(r, "dst_group", 0);
	f->nl.groups = calloc(n + 1, sizeof(*f->nl.groups));
	if (!f->nl.groups)
		return err_set(e, ERR_NOMEM, "netlink groups");
	for (size_t i = 0; i < n; i++) {
		int64_t word;

		if (json_to_int(json_at(j, i), &word, "groups", e))
			return -1;
		f->nl.groups[f->nl.n_groups++] = (uint32_t)word;
	}
	return sk_set_label(f, e, "netlink protocol %d port %u", f->protocol, f->nl.portid);
}

/* ---- packet ---- */

static int hex_bytes(const char *text, uint8_t *out, size_t max, uint16_t *len, struct err *e)
{
	size_t n = text ? strlen(text) : 0;

	if (text && !strncmp(text, "hex:", 4)) {
		text += 4;
		n -= 4;
	}
	if (n / 2 > max || !hex_read(text, n, out))
		return err_set(e, ERR_FORMAT, "packet membership: address '%s'", text ? text : "");
	*len = (uint16_t)(n / 2);
	return 0;
}

static int load_packet_members(struct sk_file *f, const char *text, struct err *e)
{
	auto_json struct json *j = text ? json_parse(text, strlen(text), e) : NULL;
	size_t n = json_len(j);

	if (text && !j)
		return -1;
	f->pk.members = calloc(n + 1, sizeof(*f->pk.members));
	if (!f->pk.members)
		return err_set(e, ERR_NOMEM, "packet memberships");
	for (size_t i = 0; i < n; i++) {
		struct sk_packet_member *m = &f->pk.members[f->pk.n_members++];
		int64_t index = 0, type = 0;

		if (json_to_int(json_get(json_at(j, i), "index"), &index, "index", e) ||
		    json_to_int(json_get(json_at(j, i), "type"), &type, "type", e) ||
		    hex_bytes(json_str(json_get(json_at(j, i), "addr")), m->addr, sizeof(m->addr),
			      &m->alen, e))
			return -1;
		m->ifindex = (int)index;
		m->type = (uint16_t)type;
	}
	return 0;
}

static int load_ring(struct tpacket_req3 *ring, const char *text, struct err *e)
{
	auto_json struct json *j = text ? json_parse(text, strlen(text), e) : NULL;
	const struct {
		const char *key;
		unsigned *to;
	} fields[] = {
		{"block_size", &ring->tp_block_size},     {"block_nr", &ring->tp_block_nr},
		{"frame_size", &ring->tp_frame_size},     {"frame_nr", &ring->tp_frame_nr},
		{"retire_tmo", &ring->tp_retire_blk_tov}, {"sizeof_priv", &ring->tp_sizeof_priv},
		{"features", &ring->tp_feature_req_word},
	};

	if (text && !j)
		return -1;
	for (size_t i = 0; j && i < ARRAY_SIZE(fields); i++) {
		int64_t v = 0;

		if (json_get(j, fields[i].key) &&
		    json_to_int(json_get(j, fields[i].key), &v, fields[i].key, e))
			return -1;
		*fields[i].to = (unsigned)v;
	}
	return 0;
}

int sk_load_packet(struct sk_file *f, const struct spec_row *r, struct err *e)
{
	f->pk.ifindex = (int)spec_int(r, "ifindex", 0);
	if (load_packet_members(f, spec_text(r, "mclist"), e) ||
	    load_ring(&f->pk.rx, spec_text(r, "rx_ring"), e) ||
	    load_ring(&f->pk.tx, spec_text(r, "tx_ring"), e))
		return -1;
	if (f->pk.ifindex == -1)
		return sk_set_label(f, e, "packet 0x%04x of a device that is gone",
				    ntohs((uint16_t)f->protocol));
	return sk_set_label(f, e, "packet 0x%04x device %d", ntohs((uint16_t)f->protocol),
			    f->pk.ifindex);
}

/* ---- who belongs to whom ---- */

static bool is_stream(const struct sk_file *f)
{
	return f->type != SOCK_DGRAM;
}

static bool has_name(const struct sk_file *a, const struct sk_file *b)
{
	return a->local_len && a->local_len == b->local_len &&
	       !memcmp(&a->local, &b->local, a->local_len);
}

static bool is_listeners_name(const struct sk_specs *s, const struct sk_file *f)
{
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i].kind == SK_UNIX && s->files[i].listens && has_name(&s->files[i], f))
			return true;
	return false;
}

/* Two connected ends. One that has a name came out of accept(2), which gives it the name of the listener
 * (unix_stream_connect); with two names it is the one that a listener has. */
static void pair_streams(const struct sk_specs *s, struct sk_file *a, struct sk_file *b)
{
	a->un.pair = a->un.peer;
	b->un.pair = b->un.peer;
	if (sk_unix_is_named(a) && sk_unix_is_named(b))
		(is_listeners_name(s, a) ? a : b)->un.accepted = true;
	else if (sk_unix_is_named(a))
		a->un.accepted = true;
	else if (sk_unix_is_named(b))
		b->un.accepted = true;
}

static int resolve_stream(struct sk_specs *s, size_t i, struct err *e)
{
	struct sk_file *f = &s->files[i], *p;

	if (f->state != ESTABLISHED || f->un.pair != SK_NONE)
		return 0;
	if (!f->un.peer_ino) {
		f->un.peer_closed = true;
		return 0;
	}
	if (f->un.peer == SK_NONE)
		return sk_leave_out(f, e,
				    "its other end (inode %u) is not among the descriptors of the "
				    "image",
				    f->un.peer_ino);
	p = &s->files[f->un.peer];
	if (p->un.peer != i)
		return sk_leave_out(f, e, "its other end (inode %u) is not connected to it",
				    f->un.peer_ino);
	/* Both ends of a stream live in the namespace of the one that connected (unix_create1 there). */
	if (p->netns != f->netns)
		return sk_leave_out(f, e,
				    "its other end (inode %u) is in another namespace, which "
				    "no kernel makes for a connection",
				    f->un.peer_ino);
	pair_streams(s, f, p);
	return 0;
}

/* Somebody else's socket, which is found by its name (syslog, journald). */
static int connect_outside(struct sk_file *f, struct err *e)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&f->peer;
	auto_buf struct buf name = {0};
	size_t len = f->peer_len - offsetof(struct sockaddr_un, sun_path);

	f->un.peer_outside = true;
	if (*un->sun_path)
		len = strnlen(un->sun_path, len);
	if (escape_add(&name, un->sun_path, len, e))
		return -1;
	return f->local_len ? 0
			    : sk_set_label(f, e, "unix dgram inode %u to %s, which is outside",
					   f->ino, (const char *)name.data);
}

/* Datagram sockets connect by name; where the other end has none, both came out of socketpair(2). */
static int resolve_dgram(struct sk_specs *s, size_t i, struct err *e)
{
	struct sk_file *f = &s->files[i], *p;

	f->un.peer_closed = !f->un.peer_ino && f->peer_len && f->un.pair == SK_NONE;
	if (!f->un.peer_ino || f->un.pair != SK_NONE)
		return 0;
	p = f->un.peer == SK_NONE ? NULL : &s->files[f->un.peer];
	if (!p && f->peer_len)
		return connect_outside(f, e);
	if (!p || p->type != SOCK_DGRAM)
		return sk_lose(
			s, e, f->label,
			"its connection: the peer (inode %u) is not among the descriptors of "
			"the image",
			f->un.peer_ino);
	if (p != f && p->netns == f->netns && p->un.pair == SK_NONE &&
	    (p->un.peer == i || !sk_unix_is_named(p))) {
		f->un.pair = f->un.peer;
		p->un.pair = i;
		return 0;
	}
	if (sk_unix_is_named(p) && (p->un.is_path || p->netns == f->netns))
		return 0;
	f->un.peer = SK_NONE;
	return sk_lose(s, e, f->label,
		       "its connection: the peer (inode %u) cannot be reached by a name",
		       f->un.peer_ino);
}

static int resolve_peers(struct sk_specs *s, struct err *e)
{
	struct u64map by_ino = {0};
	int rc = 0;

	for (size_t i = 0; i < s->n_files && !rc; i++)
		if (s->files[i].kind == SK_UNIX && s->files[i].creator != SK_NONE)
			rc = u64map_put(&by_ino, s->files[i].ino, (uint32_t)i, e);
	for (size_t i = 0; i < s->n_files && !rc; i++) {
		uint32_t peer;

		if (s->files[i].kind == SK_UNIX && s->files[i].un.peer_ino &&
		    u64map_find(&by_ino, s->files[i].un.peer_ino, &peer))
			s->files[i].un.peer = peer;
	}
	u64map_free(&by_ino);
	for (size_t i = 0; i < s->n_files && !rc; i++) {
		if (s->files[i].kind != SK_UNIX || s->files[i].left_out ||
		    s->files[i].creator == SK_NONE)
			continue;
		rc = is_stream(&s->files[i]) ? resolve_stream(s, i, e) : resolve_dgram(s, i, e);
	}
	return rc;
}

static uint64_t port_key(const struct sk_file *f)
{
	uint16_t port = f->family == AF_INET ? ((const struct sockaddr_in *)&f->local)->sin_port
					     : ((const struct sockaddr_in6 *)&f->local)->sin6_port;

	return (uint64_t)f->netns << 32 | (uint64_t)(f->type & 0xff) << 24 |
	       (uint64_t)((unsigned)f->protocol & 0xff) << 16 | port;
}

static bool has_reuseport(const struct sk_file *f)
{
	int v = 0;

	for (size_t i = 0; i < f->n_options; i++)
		if (f->options[i].level == SOL_SOCKET && f->options[i].opt == SO_REUSEPORT &&
		    f->options[i].value.len == sizeof(v))
			memcpy(&v, f->options[i].value.data, sizeof(v));
	return v;
}

/* Once bound, a socket may drop SO_REUSEPORT, so one that still has it speaks for all of its port; and two listeners of a
 * port may have needed it: with SO_REUSEADDR alone there is one (inet_csk_get_port). first: the file that by_port has. */
static bool needs_reuseport(const struct sk_file *f, const struct sk_file *first)
{
	return has_reuseport(f) || (f != first && f->listens && first->listens);
}

static void resolve_reuseport(struct sk_specs *s, const struct u64map *by_port)
{
	uint32_t first;

	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i].crowded && u64map_find(by_port, port_key(&s->files[i]), &first) &&
		    needs_reuseport(&s->files[i], &s->files[first]))
			s->files[first].crowded_port = true;
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i].crowded && u64map_find(by_port, port_key(&s->files[i]), &first))
			s->files[i].crowded_port = s->files[first].crowded_port;
}

static int resolve_ports(struct sk_specs *s, struct err *e)
{
	struct u64map by_port = {0};
	int rc = 0;

	for (size_t i = 0; i < s->n_files && !rc; i++) {
		struct sk_file *f = &s->files[i];
		uint32_t first;

		if (f->kind != SK_INET || f->left_out || !f->local_len || f->type == SOCK_RAW)
			continue;
		if (u64map_find(&by_port, port_key(f), &first))
			f->crowded = s->files[first].crowded = true;
		else
			rc = u64map_put(&by_port, port_key(f), (uint32_t)i, e);
	}
	resolve_reuseport(s, &by_port);
	u64map_free(&by_port);
	return rc;
}

/* Both ends of a pair are made by the task that is first in the list, in one call. */
static void join_creators(struct sk_specs *s)
{
	for (size_t i = 0; i < s->n_files; i++) {
		struct sk_file *f = &s->files[i];

		if (f->un.pair == SK_NONE || f->un.pair < i)
			continue;
		if (s->files[f->un.pair].creator < f->creator)
			f->creator = s->files[f->un.pair].creator;
		s->files[f->un.pair].creator = f->creator;
	}
}

int sk_resolve(struct sk_specs *s, struct err *e)
{
	if (resolve_peers(s, e) || resolve_ports(s, e))
		return -1;
	join_creators(s);
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i].un.by_path && s->files[i].creator != SK_NONE &&
		    sk_lose(s, e, s->files[i].label,
			    "its name, relative to a folder that is not known: it is bound by the "
			    "path of its file"))
			return -1;
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i].left_out && s->files[i].creator != SK_NONE &&
		    sk_lose(s, e, s->files[i].label, "%s", s->files[i].left_out))
			return -1;
	return 0;
}
