/* The lists of sysctls that have a position in CRIU's images: names both ways, and lists as long as real images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "criu/netdev.pb-c.h"
#include "proto/img.h"
#include "proto/sysctl_tables.h"
#include "proto/wire.h"
#include "tests/unit/corpus.h"

static void sysctl_names_both_ways(void **state)
{
	static const struct {
		const char *path;
		enum sysctl_list list;
		size_t pos;
		const char *device;
	} rows[] = {
		{"net/ipv4/conf/eth0/forwarding", SYSCTL_CONF4, 12, "eth0"},
		{"net/ipv6/conf/a.b/use_tempaddr", SYSCTL_CONF6, 41, "a.b"},
		{"net/unix/max_dgram_qlen", SYSCTL_UNIX, 0, ""},
		{"net/ipv4/ping_group_range", SYSCTL_IPV4, 0, ""},
	};
	enum sysctl_list list;
	char device[32], path[128];
	size_t pos;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!sysctl_of_path(rows[i].path, &list, &pos, device, sizeof(device)) ||
		    list != rows[i].list || pos != rows[i].pos ||
		    strcmp(device, rows[i].device) != 0)
			fail_msg("%s: list %d, position %zu", rows[i].path, (int)list, pos);
		assert_true(sysctl_path(list, pos, device, path, sizeof(path)));
		assert_string_equal(path, rows[i].path);
	}
	assert_false(sysctl_of_path("net/ipv4/tcp_sack", &list, &pos, device, sizeof(device)));
	assert_false(sysctl_of_path("net/ipv4/conf/forwarding", &list, &pos, device, 32));
	assert_false(sysctl_path(SYSCTL_CONF4, 99, "lo", path, sizeof(path)));
	assert_null(sysctl_name(SYSCTL_UNIX, 1));
	for (const struct sysctl_field *f = sysctl_fields(); f->message; f++) {
		const ProtobufCMessageDescriptor *d = strcmp(f->message, "netns_entry") == 0
							      ? &netns_entry__descriptor
							      : &net_device_entry__descriptor;

		assert_string_equal(d->name, f->message);
		assert_non_null(protobuf_c_message_descriptor_get_field_by_name(d, f->field));
	}
}

/* CRIU wrote as many entries as the lists have names, and text exactly where the table says so. */
static void sysctl_lists_fit_real_images(void **state)
{
	auto_buf struct buf bytes = {0};
	struct err e = ERR_INIT;
	struct img_reader r;
	struct img_record rec;
	char path[4200];

	if (!corpus_dir()) {
		print_message("skipped: no corpus (NSIMG_CORPUS)\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/scenario/nested-veth/netns-9.img", corpus_dir());
	if (io_read_file(AT_FDCWD, path, 1 << 24, &bytes, &e) ||
	    img_read_begin(&r, img_type_get(IMG_NETNS), path, buf_span(&bytes), &e))
		fail_msg("%s", e.msg);
	assert_int_equal(img_read_next(&r, &rec, &e), 1);
	for (const struct sysctl_field *f = sysctl_fields(); f->message; f++) {
		struct wire_values it;
		struct wire_value v;
		char name[64];
		size_t n = 0;

		if (strcmp(f->message, "netns_entry") != 0)
			continue;
		snprintf(name, sizeof(name), "%s.type", f->field);
		assert_int_equal(
			wire_values_begin(&it, &netns_entry__descriptor, rec.msg, name, &e), 0);
		for (; wire_values_next(&it, &v, &e) > 0; n++)
			if ((v.u == SYSCTL_TYPE__CTL_STR) != sysctl_is_text(f->list, n))
				fail_msg("%s[%zu]: type %" PRIu64, f->field, n, v.u);
		assert_int_equal(n, sysctl_count(f->list));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sysctl_names_both_ways),
		cmocka_unit_test(sysctl_lists_fit_real_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
