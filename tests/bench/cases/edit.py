"""Looking at and editing 1 000 000 sockets in 1 000 namespaces: single answers in 50 ms, readdress against one UPDATE."""

import shutil
import statistics

from bench import Run

NEEDS = ["sqlite3"]
TARGET_MS = 50

# What one person asks of one object. {port} is one that a socket of ns3 has; {turn} is another number each time, so
# that there is something to change.
ANSWERS = [
    ("sockets, a port", "sockets", ["sport", "=", ":{port}"]),
    ("sockets, an address", "sockets", ["src", "10.0.0.7"]),
    ("sockets, a namespace and a family", "sockets", ["netns", "=", "ns3", "and", "family", "inet"]),
    ("sockets, a task", "sockets", ["pid", "102", "and", "fd", "5"]),
    ("sockets, a mark", "sockets", ["fwmark", "7"]),
    ("sockets, a pattern of a name", "sockets", ["name", "/run/x*"]),
    ("sockets, a device", "sockets", ["dev", "eth0"]),
    ("sockets, a state that few have", "sockets", ["state", "close-wait"]),
    ("sockets, a kind that few are", "sockets", ["netid", "raw"]),
    ("sockets, a range of ports", "sockets", ["sport", ">=", ":{port}", "and", "sport", "<=", ":{port}"]),
    ("sockets, the peer of a unix socket", "sockets", ["dst", "unix:@bench/0002004"]),
    ("sockets, a port id of netlink", "sockets", ["src", "netlink:rtnl:2007"]),
    ("sockets, a number of a descriptor", "sockets", ["fd", "2"]),
    ("sockets, an owner", "sockets", ["uid", "1000"]),
    ("show, a local address and port", "show", ["sockets", "local = '10.0.0.7:{port}'"]),
    ("show, a port", "show", ["sockets", "sport = {port} and netid = 'tcp'"]),
    ("show, a state that few have", "show", ["sockets", "state = 'CLOSE-WAIT'"]),
    ("show, an owner", "show", ["sockets", "uid = 1000"]),
    ("show, a file of the image", "show", ["files", "name = 'files.img'"]),
    ("show, the devices of a namespace", "show", ["devices", "netns = 'ns3'"]),
    ("show, an address", "show", ["addresses", "address like '10.128.0.9/%'"]),
    ("show, the descriptors of a task", "show", ["fds", "pid = 102 and fd < 10"]),
    ("show, a descriptor of a namespace", "show", ["fds", "netns = 'ns3' and fd = 5"]),
    ("tree of one namespace", "tree", ["--netns", "ns3"]),
    ("set, a device", "set", ["device", "ns3/eth0", "mtu=1{turn}"]),
    ("set, a socket by namespace and port", "set", ["socket", "netns = ns3 and sport = :{port}", "mark={turn}"]),
    ("rename, a device", "rename", ["device", "ns4/@v{last}", "v{turn}"]),
    ("drop, a socket", "drop", ["socket", "id", "{turn}"]),
    ("add, a route", "add", ["route", "10.77.{turn}.0/24", "dev", "ns3/eth0"]),
    ("undo, the last operation", "undo", []),
]

# The same addresses, to the same new ones.
PAIRS = ["10.0.0.0/8", "11.0.0.0/8", "fd00::/16", "fd01::/16"]


def mapped(column):
    return (f"CASE WHEN {column} GLOB '10.*' THEN '11.' || substr({column}, 4) "
            f"WHEN {column} GLOB 'fd00:*' THEN 'fd01:' || substr({column}, 6) ELSE {column} END")


def has(*columns):
    return " OR ".join(f"{column} GLOB '10.*' OR {column} GLOB 'fd00:*'" for column in columns)


UPDATES = ["UPDATE {} SET {} WHERE {}".format(table, ", ".join(f"{c} = {mapped(c)}" for c in columns), has(*columns))
           for table, columns in (("inet_socket", ["src", "dst"]), ("address", ["address", "broadcast"]),
                                  ("route", ["dst", "gateway", "prefsrc"]))]
ADDRESSES = ("SELECT * FROM (SELECT socket, src, dst FROM inet_socket ORDER BY 1); "
             "SELECT id, address, broadcast FROM address ORDER BY 1; SELECT id, dst, gateway FROM route ORDER BY 1")
CHANGED = "SELECT count(*) FROM edit_log WHERE op = {}"


def answers(b, database):
    port = b.sh(["sqlite3", database, "SELECT min(src_port) FROM inet_socket i JOIN socket s ON s.id = i.socket JOIN netns n"
                 " ON n.id = s.netns WHERE n.name = 'ns3' AND src_port > 0"]).strip()
    for work, verb, template in ANSWERS:
        turns = []

        def before(verb=verb, template=template, turns=turns):
            turn = 100 + len(turns)
            turns.append(turn)
            words = [word.format(port=port, turn=turn, last=turn - 1).replace("@v99", "eth0").replace("@", "")
                     for word in template]
            run.argv[:] = [b.nsimg, verb, database, *words]

        run = Run(verb, [b.nsimg], before=before)
        b.compare(work, [run], runs=max(b.runs, 9))
        b.value(f"{work}: processor time", statistics.median(run.cpu) * 1000, "ms", at_most=TARGET_MS)


def run(b):
    n = b.size(1_000_000, 2_000)
    database, ours, theirs = b.path("nsimg.db"), b.path("ours.db"), b.path("theirs.db")
    b.sh([b.nsimg, "import", database, b.image(sockets=n, per_task=b.size(1000, 100), namespaces=b.size(1000, 10))])
    shutil.copy(database, ours)
    answers(b, ours)
    b.compare("readdress everything, one transaction, against one UPDATE a table of the same rows (logged as well)", [
        Run("nsimg readdress", [b.nsimg, "readdress", ours, *PAIRS], before=lambda: shutil.copy(database, ours)),
        Run("sqlite3", ["sqlite3", theirs, "BEGIN; " + "; ".join(UPDATES) + "; COMMIT"],
            before=lambda: shutil.copy(database, theirs)),
    ], targets={"sqlite3": 2}, runs=min(b.runs, 3))
    changed = int(b.sh(["sqlite3", ours, CHANGED.format("(SELECT max(id) FROM edit_op)")]))
    b.check(changed > n / 4 and changed == int(b.sh(["sqlite3", theirs, CHANGED.format(0)])), "the same rows are changed")
    b.check(b.sh(["sqlite3", ours, ADDRESSES]) == b.sh(["sqlite3", theirs, ADDRESSES]), "the addresses are the same")
    b.check(b.sh(["sqlite3", ours, "SELECT count(*) FROM edit_op"]).strip() == "1", "it is one operation")
    b.value("rows changed", changed, "rows")
    b.compare("undo of that, against the UPDATE", [
        Run("nsimg undo", [b.nsimg, "undo", ours]),
        Run("sqlite3", ["sqlite3", theirs, "BEGIN; " + "; ".join(UPDATES) + "; COMMIT"],
            before=lambda: shutil.copy(database, theirs)),
    ], targets={"sqlite3": 2}, runs=1)
    b.check(b.sh(["sqlite3", ours, ADDRESSES]) == b.sh(["sqlite3", database, ADDRESSES]), "undo gives what there was")
