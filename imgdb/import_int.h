/* import_int.h: what the files of one import share. Not for others (import.h is the door).
 *
 * Owns:  struct import, alive for one image.
 * Order: import_begin, the files in the order of import_kinds.c, import_finish.
 */
#pragma once

#include "base/u64map.h"
#include "imgdb/import.h"
#include "imgdb/map.h"
#include "proto/archive.h"
#include "proto/img.h"
#include "proto/manifest.h"
#include "proto/rta.h"

enum import_table {
	T_DEVICE,
	T_ADDRESS,
	T_ROUTE,
	T_RULE,
	T_NEIGHBOUR,
	T_NEXTHOP,
	T_TC,
	T_CONNTRACK, /* so far as enum rta_table */
	T_IMAGE_FACT,
	T_ENGINE_FILE,
	T_NOTE,
	T_IMAGE_FILE,
	T_USERNS,
	T_NETNS,
	T_NSID,
	T_SYSCTL,
	T_FIREWALL,
	T_TASK,
	T_THREAD,
	T_FD,
	T_SOCKET,
	T_INET,
	T_UNIX,
	T_NETLINK,
	T_PACKET,
	T_TCP,
	T_QUEUE,
	T_TUN,
	T_NS_FILE,
	T_COUNT
};

struct import_kind;

/* One file of the image folder. */
struct import_file {
	char *name;                  /* owned */
	const struct img_type *type; /* NULL: no image file */
	uint64_t number;
	int64_t id; /* image_file.id */
	uint64_t size;
	unsigned mode;
	char sha256[65];
	int64_t n_records;
	unsigned n_unknown;
	char *damage; /* owned; NULL: none */
	size_t damage_off;
	struct import_file *pages; /* of a pagemap: the file that its pages are in */
	uint64_t n_pages;          /* of a file with pages: so many a pagemap says are in it */
	const struct manifest_file *expect; /* what the manifest says of it; NULL: nothing */
	bool is_spooled; /* of an archive: its bytes are in the spool, at spool_off */
	bool is_late; /* they get there when the archive is read once more: a link to it needs them */
	uint64_t spool_off;
	char *link; /* owned; of an archive: the path of the file that this one is another name of */
	struct import_file *target; /* that file, until the files are sorted */
};

struct import {
	struct db *db;
	const struct import_opts *opts;
	const char *source;
	int dirfd;
	bool is_tree; /* a folder that has the image in a folder of its own, as archives do */
	struct arc_reader *arc; /* owned; NULL: a folder */
	int spoolfd;            /* of an archive: an unlinked file, see import_archive.c */
	uint64_t spool_len;
	int64_t image;
	struct import_file *file; /* sorted by name */
	size_t n_files, cap_files, n_read;
	struct sql_table table[T_COUNT];
	struct map map[MAP_COUNT];
	int rta_col[RTA_TABLE_COUNT][SQL_COLUMNS_MAX]; /* i-th rta_column: number of the column */
	struct map_row row;                            /* of the record in work */
	struct u64map netns;                           /* number of a network namespace: its row */
	int64_t next_file, next_netns, next_socket, next_task;
	int64_t root_ns; /* number of the root task's namespace, -1: not known */
	bool is_ours;    /* nsimg.img is there */
	struct manifest manifest;
	const struct import_file *manifest_file;                   /* NULL: the image has none */
	struct query *task_update, *thread_update, *member_insert; /* made when needed */

	struct import_file *cur; /* the file in work */
	int64_t cur_netns;       /* row of the namespace that the file is about */
};

/* ---- import.c ---- */

/* Image, file, rec, off (and netns of the file) of a row. */
void import_origin(struct import *im, enum import_table t, struct sql_row *row,
		   const struct img_record *rec);
int import_insert(struct import *im, enum import_table t, const struct sql_row *row, struct err *e);

/* The row of a network namespace by its number, made when the image only refers to it. */
int import_netns_find(struct import *im, uint64_t number, int64_t *row, struct err *e);

/* kind 'loss', 'damage' or 'unknown'; rec may be NULL. */
int import_note(struct import *im, const struct img_record *rec, const char *kind,
		const char *object, const char *reason, struct err *e);
int import_fact(struct import *im, const char *key, struct span value, struct err *e);

/* Set a column of the image row. */
int import_image_set(struct import *im, const char *column, const struct sql_cell *v,
		     const struct sql_row *row, struct err *e);

/* A file of the image, at the end of im->file. */
int import_file_add(struct import *im, const char *name, uint64_t size, unsigned mode,
		    struct err *e);

/* The files in the order of their names. */
void import_sort(struct import *im);

/* A text, escaped, into a column by name. */
int import_set_str(struct sql_row *row, const struct sql_table *t, const char *column,
		   const char *text, struct err *e);

/* ---- import_folder.c ---- */

/* The files of the folder, into im->file, by name. Those in folders of it too where the image is in "checkpoint". */
int import_list(struct import *im, struct err *e);

/* What the folder has beside the bytes of its files, as of an archive: links are kept, what is none is noted. */
int import_folder(struct import *im, struct err *e);

/* Where below the folder, which is no image, there is one: 1, its name in out. 0: nowhere. */
int import_find_below(const struct import *im, struct buf *out, struct err *e);

/* In an archive or a tree only one folder is the image: files elsewhere are none of it, whatever their names. */
void import_choose_folder(struct import *im);

/* What an archive or a folder has beside the bytes of a file, or instead of a file (f NULL). */
int import_member_add(struct import *im, const struct arc_member *m, const struct import_file *f,
		      struct err *e);

/* ---- import_file.c ---- */
enum {
	IMPORT_CHUNK = 1 << 20,
	IMPORT_CONTENT_MAX =
		16 << 20, /* larger ones are kept by reference, if their records are not all rows */
};

/* Read a file, make rows of its records, and store it. */
int import_file_read(struct import *im, struct import_file *f, struct err *e);

/* Only its SHA-256: f->sha256 of a file in a folder. */
int import_file_hash(struct import *im, struct import_file *f, struct err *e);

/* Its row in import_kinds, NULL: no records of it are rows. */
const struct import_kind *import_kind_of(const struct import_file *f);

/* Memory pages and contents of files: never needed for rows, however small. */
bool import_is_bulk(const struct import_file *f);

/* The failure in e becomes the damage of f (its records from offset off on) with --salvage: 0. Else, and
 * when it is no damage, -1. */
int import_salvage(struct import *im, struct import_file *f, const struct img_record *rec,
		   size_t off, struct err *e);

/* All bytes of a small file, without making rows of them. */
int import_file_bytes(struct import *im, const struct import_file *f, struct buf *out,
		      struct err *e);

/* ---- import_manifest.c ---- */

/* Find out what the files should be, and which are missing (an error, or damage with --salvage). */
int import_manifest(struct import *im, struct err *e);

/* -1 (ERR_FORMAT): there is no list of files, though nsimg.img says that one was written. */
int import_manifest_is_there(const struct import *im, struct err *e);

/* Is f, whose hash is known, what was written? Not: an error, or damage with --salvage. */
int import_manifest_check(struct import *im, struct import_file *f, struct err *e);

/* ---- import_archive.c ---- */

/* Read the whole archive once: list its files, hash them, spool what is needed for rows. */
int import_members(struct import *im, struct err *e);

/* ---- import_engine.c ---- */

/* Is it a file that an engine puts beside the image? */
bool import_is_engine_file(const char *name);

/* Facts out of such a file. */
int import_engine_file(struct import *im, struct import_file *f, struct span all, struct err *e);

/* ---- import_kinds.c: which records are rows, in which order the files are read ---- */
typedef int import_record_fn(struct import *im, const struct img_record *rec, struct err *e);

struct import_kind {
	enum img_kind kind;
	import_record_fn *record;
	bool is_of_netns; /* the number in the name is that of a network namespace */
};
extern const struct import_kind import_kinds[];
extern const size_t import_n_kinds;

/* ---- records, by subject ---- */
import_record_fn import_inventory, import_facts, import_userns, import_netns, import_device;
import_record_fn import_sysctl, import_nl, import_rtnl, import_text;
import_record_fn import_pstree, import_ids, import_core, import_fd, import_pagemap;
import_record_fn import_files, import_socket, import_tcp, import_queue;

/* One netlink message of rec as a row. */
int import_nl_row(struct import *im, const struct img_record *rec, struct span msg, struct err *e);

/* The columns of a message into cells of table t. */
int import_nl_cells(struct import *im, enum rta_table t, struct span msg, struct sql_row *row,
		    struct err *e);

/* The positional lists of sysctls in a record; device is the name for conf lists. */
int import_sysctl_lists(struct import *im, const struct img_record *rec,
			const ProtobufCMessageDescriptor *desc, const char *device, struct err *e);
