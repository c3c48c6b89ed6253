#!/usr/bin/env python3
"""Compare a database that nsimg imported with what others say of the same image.

compare_image.py DB IMAGE_DIR: crit decodes the records it knows, ip(8) reads the raw netlink images, and
snapshot.json (where there is one) is what the kernel said before CRIU dumped it. Prints one line a
difference; exit status 1 when there are any. sqlite3 here is Python's: a client that is not ours.
"""
import glob
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys

db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
db.row_factory = sqlite3.Row
folder = sys.argv[2]
n_compared = 0
differences = []


def same(what, ours, theirs):
    global n_compared
    n_compared += 1
    if ours != theirs:
        differences.append(f"{what}: {ours!r}, not {theirs!r}")


def number(v):
    """What crit prints of a number: 5, "0x2", or a name, which is left out."""
    if isinstance(v, bool):
        return int(v)
    if isinstance(v, int):
        return v
    try:
        return int(str(v), 0)
    except ValueError:
        return None


# ---- crit ----

SKIP = {"id", "fown", "opts", "so_filter", "icmpv_filter", "groups", "mclist", "rx_ring", "tx_ring", "ino",
        "family", "type", "proto", "state", "shutdown", "src_addr", "dst_addr", "name", "file_perms", "raw"}


def compare_fields(what, row, entry):
    for key, theirs in entry.items():
        if isinstance(theirs, dict) and key in ("opts", "ip_opts", "tcp_opts", "raw"):
            compare_fields(what, row, theirs)
        if key in SKIP or key not in row.keys():
            continue
        theirs = theirs if isinstance(theirs, str) and number(theirs) is None else number(theirs)
        ours = row[key]
        # crit prints numbers in hex where its tables say so; signed ones in 32 bits
        if isinstance(theirs, int) and isinstance(ours, int):
            ours, theirs = ours & 0xffffffffffffffff, theirs & 0xffffffffffffffff
        if isinstance(theirs, str) and isinstance(ours, int):
            continue  # an enum by name
        same(f"{what}.{key}", ours, theirs)


def crit_entries(name):
    path = os.path.join(folder, name)
    if not os.path.exists(path) or not shutil.which("crit"):
        return []
    r = subprocess.run(["crit", "decode", "--pretty", "-i", path], capture_output=True, text=True)
    return json.loads(r.stdout)["entries"] if r.returncode == 0 else []


def mapped(m):
    n = int(m[1], 16) << 16 | int(m[2], 16)
    return f"::ffff:{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def address(entry, key):
    a = entry.get(key)
    # crit has its own way to write an IPv4 address in an IPv6 one
    return re.sub("^::ffff:([0-9a-f]+):([0-9a-f]+)$", mapped, a[0]) if a else None


def compare_files():
    for e in crit_entries("files.img"):
        for part, table in (("isk", "inet_socket"), ("usk", "unix_socket"), ("psk", "packet_socket"),
                            ("nlsk", "netlink_socket")):
            if part not in e:
                continue
            sk = e[part]
            row = db.execute(f"SELECT * FROM socket s JOIN {table} f ON f.socket = s.id WHERE s.file_id = ?",
                             (e["id"],)).fetchone()
            same(f"files.img id {e['id']}", row is not None, True)
            if not row:
                continue
            what = f"{part} {e['id']}"
            compare_fields(what, row, sk)
            if "ino" in sk:
                same(what + ".ino", row["ino"], sk["ino"])
            if part == "isk":
                same(what + ".src", row["src"], address(sk, "src_addr"))
                same(what + ".dst", row["dst"], address(sk, "dst_addr"))
            same(what + ".fown", json.loads(row["fown"] or "null") or
                 {k: 0 for k in sk["fown"]}, sk["fown"])
    for path in glob.glob(os.path.join(folder, "fdinfo-*.img")):
        ours = db.execute("SELECT fd, file_id FROM fd WHERE files_id = ? ORDER BY rec",
                          (int(re.findall(r"\d+", os.path.basename(path))[0]),)).fetchall()
        theirs = [(e["fd"], e["id"]) for e in crit_entries(os.path.basename(path))]
        if theirs:
            same(os.path.basename(path), [tuple(r) for r in ours], theirs)


def compare_tasks():
    theirs = {e["pid"]: e for e in crit_entries("pstree.img")}
    if not theirs:
        return
    ours = {r["pid"]: r for r in db.execute("SELECT * FROM task")}
    same("pstree pids", sorted(ours), sorted(theirs))
    for pid, e in theirs.items():
        compare_fields(f"pstree {pid}", ours[pid], e)
        core = crit_entries(f"core-{pid}.img")
        if core:
            same(f"comm of {pid}", ours[pid]["comm"], core[0]["tc"]["comm"])
        ids = crit_entries(f"ids-{pid}.img")
        if ids:
            same(f"files_id of {pid}", ours[pid]["files_id"], ids[0]["files_id"])
            same(f"ns_id of {pid}", ours[pid]["ns_id"], ids[0].get("net_ns_id"))


def compare_devices():
    for path in glob.glob(os.path.join(folder, "netdev-*.img")):
        ns = int(re.findall(r"\d+", os.path.basename(path))[0])
        for e in crit_entries(os.path.basename(path)):
            row = db.execute("SELECT d.* FROM device d JOIN netns n ON n.id = d.netns WHERE n.ns_id = ? AND "
                             "d.ifindex = ?", (ns, e["ifindex"])).fetchone()
            what = f"netdev-{ns} {e['name']}"
            same(what + ".name", row["name"], e["name"])
            same(what + ".mtu", row["mtu"], e["mtu"])
            same(what + ".flags", row["flags"], number(e["flags"]))
            same(what + ".master", row["master"], e.get("master"))
            n = db.execute("SELECT count(*) FROM sysctl WHERE file = ? AND rec = ? AND path LIKE 'conf4%'",
                           (row["file"], row["rec"])).fetchone()[0]
            same(what + " conf4", n, sum(1 for c in e.get("conf4", []) if "iarg" in c or "sarg" in c))


# ---- ip(8), reading the raw images ----

def ip_lines(args, path):
    with open(path, "rb") as f:
        r = subprocess.run(["ip"] + args, stdin=f, capture_output=True, text=True)
    return r.stdout.splitlines() if r.returncode == 0 else None


def compare_raw():
    for path in glob.glob(os.path.join(folder, "ifaddr-*.img")):
        ns = int(re.findall(r"\d+", os.path.basename(path))[0])
        lines = ip_lines(["addr", "showdump"], path)
        if lines is None:
            continue
        theirs = sorted(re.findall(r"inet6? (\S+)", "\n".join(lines)))
        theirs = sorted(t if "/" in t else t + ("/128" if ":" in t else "/32") for t in theirs)
        ours = sorted(f"{r[0]}/{r[1]}" for r in db.execute(
            "SELECT coalesce(a.address, ''), a.prefixlen FROM address a JOIN netns n ON n.id = a.netns WHERE "
            "n.ns_id = ?", (ns,)))
        same(os.path.basename(path), ours, theirs)
    for kind, family in (("route", 2), ("route6", 10)):
        for path in glob.glob(os.path.join(folder, f"{kind}-*.img")):
            ns = int(re.findall(r"\d+", os.path.basename(path))[-1])
            lines = ip_lines(["-N", "-d", "route", "showdump"], path)
            if lines is None:
                continue
            lines = [line for line in lines if line and not line[0].isspace()]
            theirs = sorted(re.sub(r"/(32|128)$", "", line.split()[1]) for line in lines)
            ours = sorted(r[0] for r in db.execute(
                "SELECT dst FROM route r JOIN netns n ON n.id = r.netns WHERE n.ns_id = ? AND family = ? AND "
                "r.file = (SELECT id FROM image_file WHERE name = ?)", (ns, family, os.path.basename(path))))
            same(os.path.basename(path), ours, theirs)


# ---- snapshot.json: what the kernel said ----

OPTIONS = {"SO_REUSEADDR": "reuseaddr", "SO_REUSEPORT": "so_reuseport", "SO_KEEPALIVE": "so_keepalive",
           "SO_BROADCAST": "so_broadcast", "SO_SNDBUF": "so_sndbuf", "SO_RCVBUF": "so_rcvbuf",
           "SO_PRIORITY": "so_priority", "SO_MARK": "so_mark", "SO_RCVLOWAT": "so_rcvlowat",
           "IP_TTL": "ttl", "IP_TOS": "tos", "TCP_NODELAY": "nodelay", "TCP_CORK": "cork"}


def compare_snapshot():
    path = os.path.join(folder, "snapshot.json")
    if not os.path.exists(path):
        return
    with open(path) as f:
        snapshot = json.load(f)
    numbers = {}
    for p in snapshot["procs"]:
        row = db.execute("SELECT * FROM task WHERE pid = ?", (p["pid"],)).fetchone()
        same(f"task {p['pid']}", row is not None, True)
        if row:
            same(f"namespace of task {p['pid']}", row["netns"],
                 numbers.setdefault(p["netns"], row["netns"]))
    for sk in snapshot["sockets"]:
        what = f"pid {sk['pid']} fd {sk['fd']}"
        row = db.execute("SELECT s.*, i.* FROM socket_owner o JOIN socket s ON s.id = o.socket LEFT JOIN "
                         "inet_socket i ON i.socket = s.id WHERE o.pid = ? AND o.fd = ?",
                         (sk["pid"], sk["fd"])).fetchone()
        same(what, row is not None, True)
        if not row:
            continue
        for ours, theirs in (("family", "family"), ("type", "type")):
            same(f"{what} {ours}", row[ours], sk[theirs])
        if sk.get("netns") in numbers:
            same(f"{what} namespace", row["netns"], numbers[sk["netns"]])
        if sk["family"] in (2, 10) and sk.get("local") and row["src"]:
            a = f"{row['src']}:{row['src_port']}"
            same(f"{what} local", a.replace("[", "").replace("]", ""),
                 re.sub(r"%\d+$", "", sk["local"].replace("[", "").replace("]", "")))
        for option, column in OPTIONS.items():
            if row[column] is not None and isinstance(sk.get("opts", {}).get(option), int):
                same(f"{what} {option}", row[column], sk["opts"][option])
    for i, ns in enumerate(snapshot["netns"]):
        netns = numbers.get(i)
        if netns is None or db.execute("SELECT external FROM netns WHERE id = ?", (netns,)).fetchone()[0]:
            continue
        compare_snapshot_netns(f"netns {i}", netns, ns)


def compare_snapshot_netns(what, netns, ns):
    ours = [(r[0], r[1], r[2]) for r in db.execute(
        "SELECT ifindex, name, mtu FROM device WHERE netns = ? ORDER BY ifindex", (netns,))]
    same(what + " links", ours, sorted((e["ifindex"], e["ifname"], e["mtu"]) for e in ns["link"]))
    ours = sorted([r[0], r[1], r[2]] for r in db.execute(
        "SELECT d.name, a.address, a.prefixlen FROM address a JOIN device d ON d.netns = a.netns AND d.ifindex "
        "= a.ifindex WHERE a.netns = ?", (netns,)))
    same(what + " addresses", ours, sorted(e[:3] for e in ns["addr"]))
    ours = sorted(r[0] for r in db.execute(
        "SELECT priority FROM rule WHERE netns = ? AND family = 2", (netns,)))
    same(what + " rules", ours, sorted(int(e.split(":")[0]) for e in ns["rule4"]))
    for line in ns["sysctl"]:
        name, _, value = line.partition(" ")
        row = db.execute("SELECT value FROM sysctl WHERE netns = ? AND name = ?",
                         (netns, "net/" + name)).fetchone()
        if row:
            same(f"{what} {name}", row[0].replace(r"\x09", " "), value)


compare_files()
compare_tasks()
compare_devices()
compare_raw()
compare_snapshot()
for line in differences:
    print(line)
print(f"{n_compared} values compared, {len(differences)} differ")
sys.exit(bool(differences))
