#include "base/cli_sandbox.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/sandbox.h"

/* The paths of one run; their texts are ours. */
struct paths {
	struct sandbox_path *all;
	size_t n, max;
};

static void paths_free(struct paths *p)
{
	for (size_t i = 0; i < p->n; i++)
		free((char *)p->all[i].path);
	free(p->all);
}

static int paths_add(struct paths *p, const char *path, size_t len, const char *suffix,
		     enum sandbox_access access, struct err *e)
{
	char *text = NULL;

	if (p->n < p->max && asprintf(&text, "%.*s%s", (int)len, path, suffix) < 0)
		text = NULL;
	if (!text)
		return err_set(e, ERR_NOMEM, "paths of a command: out of memory");
	p->all[p->n++] = (struct sandbox_path){text, access};
	return 0;
}

/* A path, and the files that SQLite looks for beside a database. */
static int word_add(struct paths *p, const char *word, size_t len, struct err *e)
{
	static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (paths_add(p, word, len, suffixes[i], SANDBOX_READ, e))
			return -1;
	return 0;
}

/* The folder in which a database is made or changed: its journal is made there too. A link is followed,
 * as SQLite does. */
static int folder_add(struct paths *p, const char *database, struct err *e)
{
	auto_free char *real = realpath(database, NULL), *copy = NULL;
	const char *folder;

	copy = strdup(real ? real : database);
	if (!copy)
		return err_set(e, ERR_NOMEM, "paths of a command: out of memory");
	folder = dirname(copy);
	return paths_add(p, folder, strlen(folder), "", SANDBOX_WRITE, e);
}

int cli_sandbox_enter(const struct cmd *cmd, const char *const *words, size_t n, struct err *e)
{
	enum { PER_WORD = 8 }; /* the word and three files, with and without @ID */
	struct paths p = {calloc(n * PER_WORD + 1, sizeof(*p.all)), 0, n * PER_WORD + 1};
	int r = 0;

	if (!p.all)
		return err_set(e, ERR_NOMEM, "paths of a command: out of memory");
	for (size_t i = 0; !r && i < n; i++) {
		const char *at = strrchr(words[i], '@'); /* DB@ID */

		r = word_add(&p, words[i], strlen(words[i]), e);
		if (!r && at)
			r = word_add(&p, words[i], (size_t)(at - words[i]), e);
	}
	if (!r && n && (cmd->flags & CMD_WRITES))
		r = folder_add(&p, words[0], e);
	if (!r)
		r = sandbox_enter(p.all, p.n, cmd->flags & CMD_EXEC ? SANDBOX_EXEC : 0, e);
	paths_free(&p);
	return r;
}
