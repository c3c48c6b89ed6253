/* map.h: message fields and SQL columns: which is which, for all directions.
 *
 * Owns:  the compiled form (struct map) of the const rows in map_tables.c. protobuf-c's descriptors give
 *        names, types and presence; a row of ours exists only where a field is special. Every other field
 *        is a column of the same name in the row's table or in its family table.
 * Never: touches files or runs SQL beyond asking for the columns.
 * Order: map_open; map_decode (record to cells); map_encode (cells that differ to edits of the record);
 *        map_close.
 * A field that nobody mapped and that has no column is an error of map_open, and test_map finds it.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "imgdb/sql_table.h"
#include "proto/wire.h"

enum map_how {
	MAP_SAME,      /* number, or string as escaped text */
	MAP_NAME,      /* bytes as escaped text */
	MAP_UNIX_NAME, /* the same, without the zero byte that ends a path */
	MAP_BLOB,      /* bytes as they are; repeated fixed64: their bytes one after the other */
	MAP_FLAT,      /* sub-message: its fields are columns of the same row */
	MAP_FLAT_SOME, /* the same, but fields without a column here are left in the record */
	MAP_ADDRESS, /* repeated uint32: an IP address, words in network order as they lie in memory */
	MAP_LLADDR,    /* bytes: a link-layer address */
	MAP_JSON,      /* sub-message: object; repeated: array */
	MAP_JSON_ZERO, /* sub-message: object, or NULL when every field is zero */
	MAP_OPTIONS,   /* repeated nsimg_sockopt: object by name of the option */
	MAP_MEMBERS,   /* repeated nsimg_membership: array */
	MAP_EXTENTS,   /* repeated uid_gid_extent: array of arrays */
	MAP_KEPT,      /* no column: it stays in the record */
	MAP_CODE,      /* other tables: import_*.c */
};

/* A field that is special. column NULL: same name; "table.column" where the name alone would find another
 * table's. */
struct map_field {
	const char *path, *column;
	enum map_how how;
};

struct map_const {
	const char *column;
	int64_t value;
};

/* One kind of message. */
struct map_table {
	const ProtobufCMessageDescriptor *desc;
	const char *table, *family_table; /* family_table: row with the same key, or NULL */
	const struct map_field *fields;   /* ends with a zeroed one */
	const struct map_const *consts;   /* columns that every such record has; NULL: none */
};

enum map_id {
	MAP_INET,
	MAP_UNIX,
	MAP_PACKET,
	MAP_NETLINK,
	MAP_OTHER,
	MAP_TUN,
	MAP_NS_FILE,
	MAP_FD,
	MAP_DEVICE,
	MAP_NETNS,
	MAP_USERNS,
	MAP_TASK,
	MAP_CORE,
	MAP_IDS,
	MAP_TCP,
	MAP_QUEUE,
	MAP_SYSCTL,
	MAP_COUNT
};
extern const struct map_table map_tables[MAP_COUNT];

/* The parts of a file_entry: field number, name, map. Ends with number 0. */
struct map_part {
	uint32_t number;
	const char *field;
	enum map_id map;
};
extern const struct map_part map_file_parts[];

struct map_node {
	const ProtobufCFieldDescriptor *fd;
	enum map_how how;
	uint8_t table; /* 0 table, 1 family table */
	int16_t col;   /* -1: none */
	int16_t late;  /* number among the nodes that need the whole message, -1: none */
	char path[96];
	struct map_node *kids; /* owned */
	unsigned n_kids;
	uint8_t by_number[64]; /* kid + 1 for small field numbers */
};

enum { MAP_LATE_MAX = 12 };

struct map {
	const struct map_table *def;
	struct sql_table *table[2]; /* borrowed; [1] may be NULL */
	struct map_node root;
	const struct map_node *late[MAP_LATE_MAX];
	unsigned n_late;
};

/* tables: what family_table and table are found in, by name. */
int map_open(struct map *m, enum map_id id, struct sql_table *table, struct sql_table *family_table,
	     struct err *e);
void map_close(struct map *m);

/* One record as rows. row[1] is only used with a family table. */
struct map_row {
	struct sql_row row[2];
	struct buf text; /* owned */
	uint32_t words[MAP_LATE_MAX][4];
	uint8_t n_words[MAP_LATE_MAX];
	bool is_late[MAP_LATE_MAX]; /* this one is in the record */
	unsigned n_unknown;         /* fields that the descriptors do not have */
	unsigned n_missing;         /* columns that must have a value and got 0 or '' */
	bool is_of_family; /* fields of the first table are not asked for: its cells stay NULL */
};

void map_row_free(struct map_row *r);

/* Empty cells, before map_decode and whatever else sets some. */
void map_row_clear(struct map_row *r, const struct map *m);

/* Fill the cells from a message, borrowed as long as the row is used, and those that follow from others (a
 * namespace with a key is external; a device whose link is itself has none). -1 (ERR_FORMAT). */
int map_decode(const struct map *m, struct span msg, struct map_row *r, struct err *e);

/* Consts, and absent values of NOT NULL columns. After map_decode. */
void map_row_complete(struct map_row *r, const struct map *m);

/* Edits that bring msg from what was (decoded from it) to what is; each path gets prefix ("isk.") put
 * before it. */
struct map_edits {
	struct wire_edit *edit;
	size_t n, cap;
	void **own; /* memory behind paths and values */
	size_t n_own, cap_own;
};

void map_edits_free(struct map_edits *x);
int map_edits_add(struct map_edits *x, const char *prefix, const char *path,
		  const struct wire_value *values, size_t n, struct err *e);
int map_encode(const struct map *m, struct span msg, const struct map_row *was,
	       const struct map_row *is, const char *prefix, struct map_edits *x, struct err *e);

/* JSON of messages (map_json.c). */
int map_json_message(const ProtobufCMessageDescriptor *desc, struct span msg, struct buf *out,
		     struct err *e);
int map_json_late(const struct map *m, const struct map_node *n, struct span msg, struct buf *out,
		  struct err *e);
int map_json_edits(const struct map *m, const struct map_node *n, struct span msg, const char *text,
		   const char *prefix, struct map_edits *x, struct err *e);

#define auto_map_row   __attribute__((cleanup(map_row_free)))
#define auto_map_edits __attribute__((cleanup(map_edits_free)))
