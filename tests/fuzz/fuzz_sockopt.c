/* Socket options out of any bytes: as a record (of every kind of socket), and as text. What must hold: a value
 * that a record gives has a text, and the text of a value parses to the same value. Of an image file, every
 * record is taken as a file_entry and its sockets are looked into. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "criu/fdinfo.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "proto/img.h"
#include "proto/sockopt_table.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *field; /* of file_entry; NULL: a record of its own */
	const ProtobufCMessageDescriptor *desc;
	uint32_t kind;
} parts[] = {
	{"isk", &inet_sk_entry__descriptor, SOCKOPT_TCP4},
	{"isk", &inet_sk_entry__descriptor, SOCKOPT_RAW6},
	{"usk", &unix_sk_entry__descriptor, SOCKOPT_UNIX},
	{"nlsk", &netlink_sk_entry__descriptor, SOCKOPT_NETLINK},
	{"psk", &packet_sock_entry__descriptor, SOCKOPT_PACKET},
	{NULL, &nsimg_sk_entry__descriptor, SOCKOPT_VSOCK},
};

enum { N_PARTS = sizeof(parts) / sizeof(parts[0]) };

static void require(int ok)
{
	if (!ok)
		abort();
}

static void value_has_one_text(const struct sockopt *row, struct span v)
{
	struct buf text = {0}, back = {0};
	struct err e = ERR_INIT;

	require(sockopt_format(row, v, &text, &e) == 0);
	if (sockopt_parse(row, (const char *)text.data, &back, &e) == 0)
		require(back.len == v.len && (!v.len || memcmp(back.data, v.data, v.len) == 0));
	else /* of a size that the kernel would not take */
		require(e.code == ERR_USAGE && strncmp((char *)text.data, "\"hex:", 5) == 0);
	buf_free(&text);
	buf_free(&back);
}

static void options_of(struct span msg, size_t part)
{
	struct buf v = {0};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sockopt_count(); i++) {
		const struct sockopt *row = sockopt_get(i);

		if ((row->kinds & parts[part].kind) &&
		    sockopt_record_get(row, parts[part].kind, parts[part].desc, msg, 0, &v, &e) ==
			    1)
			value_has_one_text(row, buf_span(&v));
	}
	buf_free(&v);
}

static void text_is_parsed(const struct sockopt *row, const uint8_t *data, size_t size)
{
	struct buf text = {0}, v = {0};
	struct err e = ERR_INIT;

	require(buf_add(&text, data, size, &e) == 0 && buf_reserve(&text, 1, &e) == 0);
	if (sockopt_parse(row, (const char *)text.data, &v, &e) == 0)
		value_has_one_text(row, buf_span(&v));
	buf_free(&text);
	buf_free(&v);
}

static void records_of_file(struct span file)
{
	struct img_reader rd;
	struct img_record rec;
	struct err e = ERR_INIT;

	if (img_read_begin(&rd, img_type_get(IMG_FILES), "files.img", file, &e) != 0)
		return;
	while (img_read_next(&rd, &rec, &e) == 1) {
		for (size_t i = 0; i < N_PARTS; i++) {
			struct wire_value sub;

			if (parts[i].field && wire_get(&file_entry__descriptor, rec.msg,
						       parts[i].field, &sub, &e) == 1)
				options_of(sub.bytes, i);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	records_of_file((struct span){data, size});
	options_of((struct span){data + 1, size - 1}, data[0] % N_PARTS);
	text_is_parsed(sockopt_get(data[0] % sockopt_count()), data + 1, size - 1);
	return 0;
}
