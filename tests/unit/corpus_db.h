/* corpus_db.h: a folder of the corpus as an image of a database, for tests that have cmocka. */
#pragma once

#include "imgdb/db.h"
#include "imgdb/import.h"
#include "tests/unit/corpus.h"

/* Import CORPUS/name into db; its id. Whatever goes wrong fails the test. */
static inline int64_t corpus_import(struct db *db, const char *name)
{
	static const struct import_opts opts = {0};
	struct err e = ERR_INIT;
	char path[9000];
	int64_t image = 0;

	snprintf(path, sizeof(path), "%s/%s", corpus_dir(), name);
	if (!db || import_dir(db, path, &opts, &image, &e))
		fail_msg("%s: %s", path, e.msg);
	return image;
}
