/* Options all the way: every option that can be changed is changed on one socket, the socket is dumped, and a
 * fresh socket gets them from the record, in the order of the table. Then both must say the same, row by row:
 * the order and the phases of the table are what is tested. Also: records of the real CRIU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "corpus.h"
#include "sk_bench.h"

static const struct {
	const char *name;
	int family, type, protocol;
} kinds[] = {
	{"tcp", AF_INET, SOCK_STREAM, IPPROTO_TCP},
	{"tcp6", AF_INET6, SOCK_STREAM, IPPROTO_TCP},
	{"udp", AF_INET, SOCK_DGRAM, IPPROTO_UDP},
	{"udp6", AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
	{"udplite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE},
	{"raw", AF_INET, SOCK_RAW, IPPROTO_ICMP},
	{"raw6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6},
	{"unix", AF_UNIX, SOCK_STREAM, 0},
	{"unix dgram", AF_UNIX, SOCK_DGRAM, 0},
	{"netlink", AF_NETLINK, SOCK_RAW, 0},
	{"packet", AF_PACKET, SOCK_RAW, 0},
};

/* The message inside a file_entry that has the options, packed again. */
static const ProtobufCMessage *part_of(const FileEntry *fe)
{
	return fe->isk    ? &fe->isk->base
	       : fe->usk  ? &fe->usk->base
	       : fe->nlsk ? &fe->nlsk->base
			  : &fe->psk->base;
}

static void set_from_record(int fd, uint32_t kind, const ProtobufCMessage *part, const char *who)
{
	auto_buf struct buf packed = {0}, v = {0};

	OK(buf_reserve(&packed, protobuf_c_message_get_packed_size(part), &the_err));
	packed.len = protobuf_c_message_pack(part, packed.data);
	for (int phase = 0; phase < SOCKOPT_PHASE_COUNT; phase++) {
		for (size_t i = 0; i < sockopt_count(); i++) {
			const struct sockopt *row = sockopt_get(i);
			int got;

			if ((int)row->phase != phase || !(row->kinds & kind) ||
			    (row->flags & SOCKOPT_READONLY))
				continue;
			got = sockopt_record_get(row, kind, part->descriptor, buf_span(&packed), 0,
						 &v, &the_err);
			if (got == 1 && sockopt_write(fd, row, buf_span(&v), &the_err) != 0)
				fail_msg("%s: %s", who, the_err.msg);
		}
	}
}

static size_t same_options(int a, int b, uint32_t kind, const char *who)
{
	auto_buf struct buf x = {0}, y = {0}, tx = {0}, ty = {0};
	size_t n = 0;

	for (size_t i = 0; i < sockopt_count(); i++) {
		const struct sockopt *row = sockopt_get(i);
		int gx, gy;

		if (!(row->kinds & kind) || (row->flags & SOCKOPT_VOLATILE))
			continue;
		gx = sockopt_read(a, row, &x, &the_err);
		gy = sockopt_read(b, row, &y, &the_err);
		if (gx == gy && x.len == y.len && (!x.len || memcmp(x.data, y.data, x.len) == 0)) {
			n += gx == 1;
			continue;
		}
		OK(sockopt_format(row, buf_span(&x), &tx, &the_err));
		OK(sockopt_format(row, buf_span(&y), &ty, &the_err));
		fail_msg("%s: %s was %s, is %s", who, row->name, tx.data, ty.data);
	}
	return n;
}

static void records_restore_options(void **state)
{
	BENCH(b);
	size_t changed[ARRAY_SIZE(kinds)] = {0};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		int fd = new_socket(b, kinds[k].family, kinds[k].type, kinds[k].protocol);
		uint32_t kind = sockopt_kind(kinds[k].family, kinds[k].type, kinds[k].protocol);

		for (size_t i = 0; i < sockopt_count(); i++) {
			const struct sockopt *row = sockopt_get(i);
			uint8_t raw[256];
			socklen_t len = sizeof(raw);

			/* a locked filter cannot be replaced, and one that drops all is enough */
			if ((row->kinds & kind) && row->opt != SO_LOCK_FILTER)
				changed[k] += change(fd, row, raw, &len);
		}
		dump(b, fd);
	}
	finish(b);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		auto_close int fd =
			new_socket(b, kinds[k].family, kinds[k].type, kinds[k].protocol);
		uint32_t kind = sockopt_kind(kinds[k].family, kinds[k].type, kinds[k].protocol);
		size_t n;

		set_from_record(fd, kind, part_of(b->entries[k]), kinds[k].name);
		n = same_options(b->fds[k], fd, kind, kinds[k].name);
		print_message("%s: %zu options, %zu of them changed\n", kinds[k].name, n,
			      changed[k]);
		assert_true(changed[k] > 15);
	}
}

/* -- the real CRIU's records of sockets whose options were read with getsockopt before (snapshot.json) -- */

static struct json *load_json(const char *dir, const char *name)
{
	auto_buf struct buf text = {0};
	char path[8300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	OK(io_read_file(AT_FDCWD, path, 64 << 20, &text, &the_err));
	return json_parse((char *)text.data, text.len, &the_err);
}

/* CRIU leaves out of a record what is 0. */
static void option_agrees(const struct json *sock, const struct sockopt *row, uint32_t kind,
			  const ProtobufCMessageDescriptor *desc, struct span msg)
{
	const struct json *j = json_get(json_get(sock, "opts"), row->name);
	auto_buf struct buf v = {0};
	int64_t want = 0, fd = 0;
	int got, have = 0;

	if (json_kind(j) != JSON_KIND_INT || !sockopt_in_criu(row, kind))
		return;
	OK(json_to_int(j, &want, row->name, &the_err));
	OK(json_to_int(json_get(sock, "fd"), &fd, "fd", &the_err));
	got = sockopt_record_get(row, kind, desc, msg, 0, &v, &the_err);
	if (got < 0)
		fail_msg("fd %d: %s: %s", (int)fd, row->name, the_err.msg);
	if (got)
		memcpy(&have, v.data, sizeof(have));
	if (have != (int)want)
		fail_msg("fd %d: %s is %d in the record, was %d", (int)fd, row->name, have,
			 (int)want);
}

static const struct json *socket_with_fd(const struct json *snapshot, int64_t want)
{
	const struct json *all = json_get(snapshot, "sockets");

	for (size_t i = 0; i < json_len(all); i++) {
		int64_t fd;

		OK(json_to_int(json_get(json_at(all, i), "fd"), &fd, "fd", &the_err));
		if (fd == want)
			return json_at(all, i);
	}
	return NULL;
}

static void criu_records_are_understood(void **state)
{
	const char *corpus = corpus_dir();
	auto_json struct json *snapshot = NULL;
	auto_buf struct buf bytes = {0};
	struct img_reader rd;
	struct img_record rec;
	size_t n = 0;
	char dir[8192];

	if (!corpus) {
		print_message("SKIP: no corpus\n");
		skip();
	}
	snprintf(dir, sizeof(dir), "%s/limits/sockopts", corpus);
	snapshot = load_json(dir, "snapshot.json");
	assert_non_null(snapshot);
	strcat(dir, "/files.img");
	OK(io_read_file(AT_FDCWD, dir, 1 << 20, &bytes, &the_err));
	OK(img_read_begin(&rd, img_type_get(IMG_FILES), "files.img", buf_span(&bytes), &the_err));
	while (img_read_next(&rd, &rec, &the_err) == 1) {
		FileEntry *fe = file_entry__unpack(NULL, rec.msg.len, rec.msg.data);
		auto_buf struct buf packed = {0};
		/* fdinfo-2.img of this image: the descriptor is the id and one */
		const struct json *sock = socket_with_fd(snapshot, (int64_t)fe->id + 1);
		int64_t family = 0, type = 0, proto = 0;

		if (sock && (fe->isk || fe->usk || fe->nlsk || fe->psk)) {
			const ProtobufCMessage *part = part_of(fe);

			OK(json_to_int(json_get(sock, "family"), &family, "family", &the_err));
			OK(json_to_int(json_get(sock, "type"), &type, "type", &the_err));
			OK(json_to_int(json_get(sock, "proto"), &proto, "proto", &the_err));
			OK(buf_reserve(&packed, 8192, &the_err));
			packed.len = protobuf_c_message_pack(part, packed.data);
			for (size_t i = 0; i < sockopt_count(); i++)
				option_agrees(sock, sockopt_get(i),
					      sockopt_kind((int)family, (int)type, (int)proto),
					      part->descriptor, buf_span(&packed));
			n++;
		}
		file_entry__free_unpacked(fe, NULL);
	}
	assert_int_equal(n, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(records_restore_options),
		cmocka_unit_test(criu_records_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
