"""nsimg import of a files.img with 1 000 000 sockets and their descriptors, against the limit program (the
same rows by protobuf-c and prepared inserts), crit decode of the file and sqlite3 .import of the same rows."""

import os
import re
import sqlite3

from bench import Run

TABLES = {
    "socket": "id, image, rec, off, file_id, ino, ns_id, family, type, protocol, state, flags, so_sndbuf, so_rcvbuf,"
              " so_snd_tmo_sec, so_snd_tmo_usec, so_rcv_tmo_sec, so_rcv_tmo_usec, reuseaddr, so_priority,"
              " so_rcvlowat, so_passcred, so_passsec, so_dontroute, so_no_check, so_reuseport, so_broadcast,"
              " so_keepalive, so_oobinline, so_buf_lock, fown, options, memberships",
    "inet_socket": "*", "unix_socket": "*", "netlink_socket": "*", "packet_socket": "*",
    "fd": "image, rec, off, files_id, fd, file_id, type, flags",
}


def same_rows(b, ours, theirs):
    """The limit has put the same rows into the same tables, and made the same indexes."""
    db = sqlite3.connect(ours)
    db.execute("ATTACH ? AS limited", (theirs,))
    for table, columns in TABLES.items():
        for one, other in (("main", "limited"), ("limited", "main")):
            n = db.execute(f"SELECT count(*) FROM (SELECT {columns} FROM {one}.{table} EXCEPT"
                           f" SELECT {columns} FROM {other}.{table})").fetchone()[0]
            b.check(n == 0, f"{n} rows of {one}.{table} are not in {other}.{table}")
    names = [[row[0] for row in db.execute(f"SELECT name FROM {part}.sqlite_schema WHERE type = 'index' ORDER BY 1")]
             for part in ("main", "limited")]
    b.check(names[0] == names[1], f"other indexes: {names}")
    db.close()


def write_csv(b, database):
    """One CSV a table, and the script that loads them: the schema without indexes, then the rows, then the
    indexes, one transaction, durable."""
    db = sqlite3.connect(database)
    schema = [row[0] + ";" for row in db.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
    indexes = [row[0] + ";" for row in db.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")]
    db.close()
    script = [*schema, "PRAGMA temp_store = MEMORY;", ".mode csv", "BEGIN;"]
    for table in TABLES:
        # .import knows no NULL: empty texts come in instead, so the table takes what it is given
        script.append(f"CREATE TABLE loaded_{table} AS SELECT * FROM {table} WHERE 0;")
        path = b.path(table + ".csv")
        b.sh(["sqlite3", "-readonly", "-csv", database, f".once {path}", f"SELECT * FROM {table}"])
        script.append(f".import {path} loaded_{table}")
    script += [re.sub(r" ON (\w+) ", r" ON loaded_\1 ", sql) if re.search(r" ON (\w+) ", sql).group(1) in TABLES
               else sql for sql in indexes]
    script.append("COMMIT;")
    with open(b.path("load.sql"), "w", encoding="utf-8") as out:
        out.write("\n".join(script) + "\n")


def phases(text):
    return {"s " + name: float(value) for name, value in re.findall(r"^(\w+) ([\d.]+)$", text, re.M)}


def run(b):
    n = b.size(1_000_000, 2_000)
    image = b.image(sockets=n, per_task=1000)
    ours, limited, loaded = b.path("nsimg.db"), b.path("limit.db"), b.path("csv.db")
    contenders = [
        Run("nsimg import", [b.nsimg, "import", ours, image], before=lambda: b.remove("nsimg.db")),
        Run("limit", [b.limit("import"), limited, image], before=lambda: b.remove("limit.db"), extra=phases),
    ]
    for one in contenders:
        one.once()
    same_rows(b, ours, limited)
    write_csv(b, ours)
    for one in contenders:
        one.seconds, one.cpu, one.rss, one.values = [], [], [], {}
    contenders.append(Run("sqlite3 .import", ["sh", "-c", f"exec sqlite3 -bail {loaded} <{b.path('load.sql')}"],
                          before=lambda: b.remove("csv.db"), runs=3))
    part = b.size(20_000, 200)
    small = b.image(sockets=part, per_task=1000)
    contenders.append(Run("crit decode", ["crit", "decode", "-i", os.path.join(small, "files.img"), "-o", "/dev/null"],
                          share=part / n, runs=1))
    b.compare(f"import of {n} sockets and {n} descriptors", contenders, per=n, unit="socket",
              targets={"limit": 1.5, "sqlite3 .import": 1, "crit decode": 1 / 25})
    b.value("peak memory of the import", max(contenders[0].rss) / 1024, "MiB", at_most=160)
    if not b.smoke:
        double = b.image(sockets=2 * n, per_task=1000)
        grown = Run("nsimg import", [b.nsimg, "import", ours, double], before=lambda: b.remove("nsimg.db"))
        grown.once()
        b.value(f"peak memory with {2 * n} sockets, against that with {n}", max(grown.rss) / max(contenders[0].rss),
                "times", at_most=1.1)


NEEDS = ["crit", "sqlite3"]
