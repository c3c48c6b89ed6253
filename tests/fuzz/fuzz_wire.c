/* The wire walker and the patcher on any bytes. The first byte says which message it is and what is
 * edited, the rest is the message; of an image file, every record is a message and every edit is done. What must hold: fields tile the message; what wire_check accepts can
 * be patched, and then reads back as it was set, with a message that is still well-formed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "criu/fdinfo.pb-c.h"
#include "criu/netdev.pb-c.h"
#include "proto/img.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const ProtobufCMessageDescriptor *desc;
	const char *path, *text;
	uint64_t number;
	size_t n;
} edits[] = {
	{&file_entry__descriptor, "isk.opts.so_sndbuf", NULL, 300, 1},
	{&file_entry__descriptor, "isk.src_addr", NULL, 7, 1},
	{&file_entry__descriptor, "isk.nsimg.cookie", NULL, 1ull << 60, 1},
	{&file_entry__descriptor, "usk.mnt_id", NULL, (uint64_t)-1, 1},
	{&file_entry__descriptor, "usk.name", "abc", 0, 1},
	{&file_entry__descriptor, "isk.opts", NULL, 0, 0},
	{&file_entry__descriptor, "isk.opts.so_filter", NULL, 0, 0},
	{&net_device_entry__descriptor, "name", "eth0", 0, 1},
	{&net_device_entry__descriptor, "conf", NULL, (uint64_t)-1, 1},
	{&net_device_entry__descriptor, "conf4[0].iarg", NULL, 1, 1},
	{&net_device_entry__descriptor, "nsimg_link", "link", 0, 1},
	{&netns_entry__descriptor, "def_conf6[2].sarg", "::1", 0, 1},
	{&netns_entry__descriptor, "nsids[1]", NULL, 0, 0},
	{&netns_entry__descriptor, "nsimg.external", NULL, 1, 1},
	{&netns_entry__descriptor, "ext_key", "k", 0, 1},
};

static void require(int ok)
{
	if (!ok)
		abort();
}

static void tiles(struct span msg)
{
	struct wire_iter it = wire_iter(msg);
	struct wire_field f;
	struct err e = ERR_INIT;
	size_t at = 0;
	int got;

	while ((got = wire_next(&it, &f, &e)) > 0) {
		require(f.off == at && f.raw.data == msg.data + at && f.raw.len > 0);
		require(f.key_len < f.raw.len && f.bytes.len < f.raw.len);
		at += f.raw.len;
		require(at <= msg.len);
	}
	require(got < 0 ? e.code == ERR_FORMAT : at == msg.len);
}

static void read_back(size_t i, struct span msg, const struct wire_value *want)
{
	struct err e = ERR_INIT;
	struct wire_value v;
	int got = wire_get(edits[i].desc, msg, edits[i].path, &v, &e);

	require(wire_check(edits[i].desc, msg, &e) == 0);
	if (edits[i].n == 0)
		return;
	require(got == 1);
	if (edits[i].text)
		require(v.bytes.len == want->bytes.len &&
			memcmp(v.bytes.data, want->bytes.data, v.bytes.len) == 0);
	else
		require(v.u == want->u);
}

static void edit_one(size_t i, struct span msg)
{
	struct wire_value v = wire_number(edits[i].number);
	struct wire_edit edit = {edits[i].path, &v, edits[i].n};
	struct buf out = {0};
	struct err e = ERR_INIT;
	char path[128];
	int ok = wire_check(edits[i].desc, msg, &e) == 0;

	if (edits[i].text)
		v = wire_bytes(edits[i].text, strlen(edits[i].text));
	wire_missing(edits[i].desc, msg, path, sizeof(path));
	if (wire_patch(edits[i].desc, msg, &edit, 1, &out, &e) == 0) {
		if (ok)
			read_back(i, buf_span(&out), &v);
	} else {
		require(out.len == 0 && (e.code == ERR_NOTFOUND || !ok));
	}
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t n_edits = sizeof(edits) / sizeof(edits[0]);
	struct span file = {data, size}, msg;
	struct err e = ERR_INIT;
	struct img_reader r;
	struct img_record rec;

	if (size == 0)
		return 0;
	for (enum img_kind kind = 0; kind < IMG_KIND_COUNT; kind++) {
		if (img_type_get(kind)->head != IMG_HEAD_COMMON ||
		    img_read_begin(&r, img_type_get(kind), "fuzz", file, &e))
			continue;
		while (img_read_next(&r, &rec, &e) > 0) {
			tiles(rec.msg);
			for (size_t i = 0; i < n_edits; i++)
				edit_one(i, rec.msg);
		}
		return 0;
	}
	msg = (struct span){data + 1, size - 1};
	tiles(msg);
	edit_one(data[0] % n_edits, msg);
	return 0;
}
