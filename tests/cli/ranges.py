"""ranges.py DB: what any SQLite client may write into the columns of an image. Every number column of every table that
is edited refuses what no 32-bit field can hold, and the narrower limits of the kernel, RFCs and JSON hold too; what is
legal passes; what an import found broken may stay while other columns are mended. Changes nothing in DB."""
import re
import sqlite3
import sys

# Columns whose number is any (64 bits of the kernel), or a row of this database.
ANY = {"ino", "cookie", "tun_id", "so_snd_tmo_sec", "so_rcv_tmo_sec"}
ROWS = {"id", "image", "file", "rec", "off", "netns", "socket", "task", "target", "peer_netns"}

# Narrower than 32 bits: (table, column, legal values, illegal values).
LIMITS = [
    ("device", "ifindex", [1, 2**31 - 1], [0, -1, 2**31]),
    ("device", "mtu", [0, 68, 65536], [-5, 2**31]),
    ("device", "link_netnsid", [-1, 0], [-2]),
    ("device", "operstate", [6], [256]),
    ("address", "prefixlen", [0, 32], [-1, 129]),
    ("address", "scope", [0, 255], [256]),
    ("address", "valid_lft", [2**32 - 1], [-1]),
    ("route", "tos", [255], [256]),
    ("route", "table", [2**32 - 1], [-1]),
    ("route", "pref", [0, 1, 3], [4]),
    ("rule", "suppress_prefixlength", [-1, 0, 128], [-2, 129]),
    ("rule", "fwmask", [2**32 - 1], [-1]),
    ("rule", "l3mdev", [0, 1], [2]),
    ("rule", "sport", ["80", "80-90", "0-65535"], ["x", "", "80-", "-80", "90-80", "65536", "1-65536", "1-2-3"]),
    ("rule", "dport", ["443"], ["70000"]),
    ("rule", "uidrange", ["0-4294967295"], ["0-4294967296", "5-4"]),
    ("neighbour", "port", [4789], [65536]),
    ("neighbour", "vlan", [0, 4095], [4096]),
    ("neighbour", "vni", [2**24 - 1], [2**24]),
    ("nexthop", "nh_id", [1], [0]),
    ("nexthop", "blackhole", [0, 1], [2]),
    ("conntrack", "sport", [0, 65535], [65536, -1]),
    ("conntrack", "zone", [65535], [65536]),
    ("fd", "fd", [0, 1048575], [-1]),
    ("fd", "flags", [0, 1], [2]),
    ("socket", "so_rcv_tmo_usec", [0, 999999], [1000000, -1]),
    ("socket", "so_rcv_tmo_sec", [0, 2**40], [-1]),
    ("socket", "shutdown", [0, 3], [4]),
    ("socket", "so_keepalive", [0, 1], [2]),
    ("inet_socket", "src_port", [0, 65535], [-1, 65536]),
    ("inet_socket", "dst_port", [0, 65535], [-1, 65536]),
    ("inet_socket", "ttl", [1, 255], [256, -1]),
    ("inet_socket", "tos", [0, 255], [256]),
    ("unix_socket", "mode", [0o140755], [65536]),
    ("unix_socket", "mnt_id", [-1, 138], [-2]),
    ("packet_socket", "version", [0, 2], [3]),
    ("tcp_stream", "snd_wscale", [0, 14], [15]),
    ("task", "pid", [1], [0, -1]),
    ("thread", "tid", [1], [0]),
    ("nsid", "value", [0], [-1]),
    ("netns", "name", ["web", "ns4", "a b"], ["../../etc/x", "a/b", "", ".", "..", "x" * 256]),
    ("netns", "pins", ["[]", '["/run/netns/web"]'],
     ["{}", "null", '"x"', "[1]", '["web"]', '["/run/netns/../../etc/x"]', '["/run/netns/.."]', "["]),
    ("sysctl", "name", ["net/ipv4/ip_forward", "net/ipv4/conf/a..b/mtu"], ["../../etc/x", "net/../kernel/x", "/etc/x"]),
    ("device", "altnames", ['["long-name"]'], ["{}", "[1]"]),
    ("device", "attrs", ['{"id":42}'], ["[]", "7", '"x"']),
    ("route", "multipath", ['[{"oif":1}]'], ["{}", "[1]"]),
    ("socket", "memberships", ["[]"], ["{}", "[7]"]),
    ("netlink_socket", "groups", ["[1]"], ["{}", '["1"]']),
    ("packet_socket", "mclist", ["[]"], ["{}", "["]),
    ("socket_queue", "direction", ["send"], ["up"]),
    ("socket_queue", "rights", ["[3]"], ["{}", '["x"]']),
    ("userns", "setgroups", ["allow", "deny"], ["x"]),
    ("userns", "uid_map", ["[[0,1000,1]]"], ["[1]", "{}"]),
]


def columns(db, table):
    return [(r[1], r[2], r[3], r[4]) for r in db.execute(f"PRAGMA table_info({table})")]


def tables(db):
    """Those with an edit log, so those that are edited."""
    return [r[0] for r in db.execute("SELECT tbl_name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '*_log_update'")]


def fill(db, table):
    """A row to try on, as an import makes it, where the image has none."""
    if db.execute(f"SELECT 1 FROM {table}").fetchone():
        return
    need = [c for c in columns(db, table) if c[2] and c[3] is None]
    names = ", ".join(f'"{c[0]}"' for c in need)
    values = ", ".join("1" if c[1] == "INTEGER" else "''" for c in need)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({values})")


def one_row(db, table):
    key = columns(db, table)[0][0]
    where = " WHERE family = 2" if table in ("address", "route") else ""
    return key, db.execute(f"SELECT {key} FROM {table}{where} ORDER BY {key} DESC").fetchone()[0]


def attempt(db, table, column, value):
    key, row = one_row(db, table)
    db.execute("SAVEPOINT s")
    try:
        db.execute(f'UPDATE {table} SET "{column}" = ? WHERE "{key}" = ?', (value, row))
        return None
    except sqlite3.Error as e:
        return str(e)
    finally:
        db.execute("ROLLBACK TO s")
        db.execute("RELEASE s")


def refused(db, table, column, value):
    why = attempt(db, table, column, value)
    assert why is not None, f"{table}.{column} = {value!r} is not refused"
    assert f"{table}.{column}" in why and "malformed" not in why, f"{table}.{column} = {value!r}: {why}"


def main():
    db = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.execute("BEGIN")
    db.execute("UPDATE edit_state SET importing = 1, op = -1")
    for table in tables(db):
        fill(db, table)
    db.execute("UPDATE edit_state SET importing = 0, op = 0")
    n = 0
    for table in tables(db):
        for column, kind, _, _ in columns(db, table):
            if kind == "INTEGER" and column not in ANY | ROWS and table != "image":
                for value in (-2**33, 2**33):
                    refused(db, table, column, value)
                    n += 1
    assert n > 300, n
    # all that the schema calls JSON
    (schema,) = db.execute("SELECT group_concat(sql, char(10)) FROM sqlite_schema WHERE type = 'table'").fetchone()
    for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\) STRICT", schema, re.S):
        for column in re.findall(r'^\s+"?(\w+)"?\s+TEXT\b.*JSON', body, re.M):
            if table in tables(db) and table != "engine_file":
                refused(db, table, column, '"x"')
    for table, column, good, bad in LIMITS:
        for value in good:
            why = attempt(db, table, column, value)
            # another check may know better: that an index belongs to a device, that a number is used once, that a socket listens
            assert why is None or re.search("device|another|in use|listening", why), (table, column, value, why)
        for value in bad:
            refused(db, table, column, value)
    # a broken image is mended step by step
    db.execute("UPDATE edit_state SET importing = 1, op = -1")
    db.execute("UPDATE device SET mtu = -5, txqlen = -5")
    db.execute("UPDATE edit_state SET importing = 0, op = 0")
    db.execute("UPDATE device SET txqlen = 1000")
    db.execute("UPDATE device SET mtu = 1500")
    db.execute("ROLLBACK")


main()
