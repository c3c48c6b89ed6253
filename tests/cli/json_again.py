"""json_again.py DB: what a dump says in JSON may be written by an edit, too. Each value of a column that holds JSON is taken
away as an import would, and set as any client does. Prints how many there were, by column; changes nothing in DB."""
import collections
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1])
done = collections.Counter()
tables = [r[0] for r in db.execute("SELECT tbl_name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '*_log_update'")]
for table in tables:
    columns = db.execute(f"SELECT name, type, \"notnull\" FROM pragma_table_info('{table}')").fetchall()
    key = columns[0][0]
    for column, kind, needed in columns:
        if kind != "TEXT" or needed:
            continue
        for row, value in db.execute(f"SELECT {key}, \"{column}\" FROM {table} WHERE \"{column}\" GLOB '[[{{]*'").fetchall():
            db.execute("UPDATE edit_state SET importing = 1, op = -1")
            db.execute(f'UPDATE {table} SET "{column}" = NULL WHERE {key} = ?', (row,))
            db.execute("UPDATE edit_state SET importing = 0, op = 0")
            try:
                db.execute(f'UPDATE {table} SET "{column}" = ? WHERE {key} = ?', (value, row))
            except sqlite3.Error as e:
                raise SystemExit(f"{table}.{column} {value}: {e}")
            done[f"{table}.{column}"] += 1
for name, n in sorted(done.items()):
    print(name, n)
