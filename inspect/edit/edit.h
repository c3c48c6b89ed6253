/* edit.h: an edit of images as one operation, whatever command or rules file asks for it.
 *
 * Owns:  the database, its transaction and the operation of the edit log behind struct edit, and the report.
 * Never: lets half an operation stay: one transaction for all images, rolled back on an error and with
 *        --dry-run.
 * Order: cmd->run of an editing command is edit_command. It opens the database, begins the operation, calls
 *        edit_op.run once for each image that is meant (--image ID, --image all, or the only one), prints the
 *        report and ends. A rules file (rules.c) runs many edit_op.run in one operation.
 * Report: what changed is read from the edit log, so it holds everything that changed, also what triggers
 *        changed; run only says what it left alone and why (edit_left).
 * Adding an operation: a file with "int X_edit(struct edit *, const struct cli *, struct err *)" (declared
 *        below) and its "const struct cmd cmd_X = {EDIT_CMD, .name = ...}", a row in edit_ops.c, and what
 *        base/cli.h asks of a command.
 */
#pragma once

#include "base/cli.h"
#include "imgdb/db.h"
#include "inspect/edit/edit_tables.h"

struct edit;

/* Do it in one image. Words are cli_arg(c, 1) and on (0 is the database), options as declared. Changes are
 * SQL on edit_db; triggers log and check them. ERR_NOTFOUND: nothing in this image is meant, which is an
 * error only when it is so in every image (what was changed in this one is taken back then). */
typedef int edit_fn(struct edit *x, const struct cli *c, struct err *e);

/* each in a file of that name */
edit_fn set_edit, add_edit, drop_edit, move_edit, readdress_edit, remac_edit, rename_edit,
	externalize_edit, fix_edit;

struct edit_op {
	const struct cmd *cmd;
	edit_fn *run;
	bool as_client; /* what it does is looked at as what any other client does */
};
extern const struct edit_op edit_ops[];
extern const size_t n_edit_ops;

/* By the name of its command, NULL when there is none. */
const struct edit_op *edit_op_find(const char *name);

/* Run it on x->image. */
int edit_op_run(const struct edit_op *op, struct edit *x, const struct cli *c, struct err *e);

/* What every editing command has: put EDIT_OPTIONS into its options (before the zeroed row), EDIT_CMD into
 * its row. */
#define EDIT_OPTIONS                                                                               \
	{"dry-run", 'n', NULL, "report what would change, change nothing", false},                 \
		{"rows", 0, NULL, "report each row, also when they are many", false},              \
	{                                                                                          \
		"image", 'i', "ID", "which image of the file, or all (default: the only one)",     \
			false                                                                      \
	}
#define EDIT_CMD .run = edit_command, .flags = CMD_DATABASE | CMD_WRITES | CMD_OUTPUT
int edit_command(struct cli *c, struct err *e);

/* ---- for edit_fn ---- */

struct db *edit_db(const struct edit *x);
int64_t edit_image(const struct edit *x);

/* The operation's number in edit_op. */
int64_t edit_id(const struct edit *x);

/* Something that belongs to what was asked for and was left as it is, with the reason. */
int edit_left(struct edit *x, struct err *e, const char *object, const char *reason, ...)
	__attribute__((format(printf, 4, 5)));

/* Rows by key. */
struct edit_ids {
	int64_t *id; /* owned */
	size_t n, cap;
};
void edit_ids_free(struct edit_ids *ids);
int edit_ids_add(struct edit_ids *ids, int64_t id, struct err *e);
void edit_ids_sort(struct edit_ids *ids); /* and each is there once */
bool edit_ids_has(const struct edit_ids *sorted, int64_t id);
#define auto_edit_ids __attribute__((cleanup(edit_ids_free)))

/* The images that a command means: --image ID, --image all, or the only one. */
int edit_pick_images(struct db *db, const struct cli *c, struct edit_ids *images, struct err *e);

/* The rows that n words mean, appended to ids, and their table:
 *
 *   socket FILTER...           the filter language of "nsimg sockets"
 *   device NAME | NETNS/NAME, netns NAME, address ADDRESS[/LEN], route PREFIX, rule PRIORITY, sysctl NAME ...
 *                              then pairs KEY VALUE as ip(8) has them: dev eth0 netns left table main
 *   TABLE where CONDITION      an SQL condition over the columns of "nsimg show TABLE"
 *   TABLE id N, TABLE all
 *
 * A name without a condition means one object: when it could be several, ERR_USAGE lists them (many: that is
 * fine too). ERR_NOTFOUND: none. */
const struct edit_table *edit_find(struct edit *x, const char *const *words, unsigned n, bool many,
				   struct edit_ids *ids, struct err *e);

/* One namespace (by name or nsN), one device (NAME or NETNS/NAME). ERR_NOTFOUND suggests the right name. */
int edit_find_netns(struct edit *x, const char *name, int64_t *netns, struct err *e);
int edit_find_device(struct edit *x, const char *name, int64_t *device, struct err *e);

/* A namespace becomes one that CRIU is given at restore as --inherit-fd 'fd[N]:KEY' (externalize.c). The one of CRIU
 * itself gets a number and an image of its own for that. ERR_CONFLICT: another one has that key. */
int externalize(struct edit *x, int64_t netns, const char *key, struct err *e);

/* The words of a command from number first on, as an array (lent by c). *n: how many. */
const char *const *edit_words(const struct cli *c, unsigned first, unsigned *n);

/* Values for :name parameters; those that the statement does not have are passed over. The list ends with NULL
 * for the name. Statements are kept, so that running one again costs little. */
struct edit_bind {
	const char *name, *text; /* text NULL: num */
	int64_t num;
};
int edit_exec(struct edit *x, const char *sql, const struct edit_bind *binds, struct err *e);

/* The first column of the first row, as a number or appended as text; *found false: no row, or NULL. */
int edit_number(struct edit *x, const char *sql, const struct edit_bind *binds, int64_t *out,
		bool *found, struct err *e);
int edit_text(struct edit *x, const char *sql, const struct edit_bind *binds, struct buf *out,
	      bool *found, struct err *e);

/* The first column of every row. */
int edit_ids_query(struct edit *x, const char *sql, const struct edit_bind *binds,
		   struct edit_ids *ids, struct err *e);

/* What people call a row that is there, into an emptied buf (edit_tables.h has more). */
int edit_name(struct edit *x, const char *tbl, int64_t row, struct buf *out, struct err *e);

/* SQL, about a row of device: a tunnel of these kinds on the device with that index in a namespace, which its attributes
 * name; its column link is its own index. */
#define EDIT_ON_TOP(kinds, in_netns, index)                                                        \
	"kind IN (" kinds ") AND json_extract(attrs, '$.link') = " index                           \
	" AND coalesce(peer_netns, "                                                               \
	"iif(link_netnsid IS NULL, netns, 0)) = " in_netns
