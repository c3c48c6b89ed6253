/* Framing: any bytes as any kind of file. What must hold is that the spans of the records, in order, are
 * the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "proto/img.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
	if (!ok)
		abort();
}

static void unpack(const struct img_type *t, struct span msg)
{
	struct err e = ERR_INIT;
	ProtobufCMessage *m;

	if (!t->entry || wire_check(t->entry, msg, &e))
		return;
	m = protobuf_c_message_unpack(t->entry, NULL, msg.len, msg.data);
	if (m)
		protobuf_c_message_free_unpacked(m, NULL);
}

static void read_as(const struct img_type *t, struct span file)
{
	struct img_reader r;
	struct img_record rec;
	struct err e = ERR_INIT;
	size_t at;
	int got;

	if (img_read_begin(&r, t, "fuzz", file, &e)) {
		require(e.code == ERR_FORMAT && r.damaged && r.tail.len == file.len);
		return;
	}
	at = r.head.len;
	while ((got = img_read_next(&r, &rec, &e)) > 0) {
		require(rec.off == at && rec.raw.len <= file.len - at);
		require(rec.raw.len == 0 || rec.raw.data == file.data + at);
		require(t->shape == IMG_SHAPE_WHOLE || rec.raw.len >= 4);
		require(rec.msg.len + rec.extra.len <= rec.raw.len);
		at += rec.raw.len;
		if (t->shape == IMG_SHAPE_ENTRIES)
			unpack(t, rec.msg);
	}
	require(at + r.tail.len == file.len);
	require((got < 0) == r.damaged && (got == 0 || e.code == ERR_FORMAT));
	require(img_read_next(&r, &rec, &e) == 0);
}

/* The kinds that differ in how they are framed; reading as all 87 would only cost time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum img_kind others[] = {IMG_TCP_STREAM, IMG_IPCNS_MSG, IMG_IPCNS_SEM,
					       IMG_IPCNS_SHM,  IMG_NETNF_CT,  IMG_NFTABLES};
	struct span file = {data, size};
	uint32_t words[2] = {0, 0};
	const struct img_type *t;

	memcpy(words, data ? data : (const uint8_t *)words, size < 8 ? (data ? size : 0) : 8);
	t = img_type_of_magic(words[0]);
	if (!t)
		t = img_type_of_magic(words[1]);
	if (t)
		read_as(t, file);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		read_as(img_type_get(others[i]), file);
	return 0;
}
