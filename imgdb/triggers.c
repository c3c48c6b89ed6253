#include "imgdb/db_sqlite.h"

int triggers_make(struct db *db, struct buf *sql, struct err *e)
{
	return 0;
}
