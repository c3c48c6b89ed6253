"""nsimg restore of namespaces with a veth pair, v4 and v6 address, default route and a name, against the limit,
ip -batch and a shell of ip; and nsimg rollback of them, against closing all their descriptors at once."""

import os

import live
from bench import Run

NEEDS_ROOT = True
NEEDS = ["ip", "sqlite3"]


def inner_lines(k):
    return ["link set lo up", "link set eth0 up", f"addr add 10.{k >> 8}.{k & 255}.2/24 dev eth0",
            f"addr add fd00:{k:x}::2/64 dev eth0 nodad", f"route add default via 10.{k >> 8}.{k & 255}.1"]


def outer_lines(k):
    return [f"netns add n{k}", f"link add v{k} type veth peer name eth0 netns n{k}", f"link set v{k} up"]


def write(path, lines):
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


def scripts(b, n):
    """The same n namespaces by one ip -batch and one more in each namespace; and by an ip for each line."""
    batch, shell = [f"ip -batch {b.path('outer')}"], []
    write(b.path("outer"), [line for k in range(1, n + 1) for line in outer_lines(k)])
    for k in range(1, n + 1):
        write(b.path(f"inner{k}"), inner_lines(k))
        batch.append(f"ip -n n{k} -batch {b.path(f'inner{k}')}")
        shell += ["ip " + line for line in outer_lines(k)]
        shell += [f"ip -n n{k} " + line for line in inner_lines(k)]
    write(b.path("batch.sh"), ["set -e", *batch])
    write(b.path("shell.sh"), ["set -e", *shell])


def run(b):
    for n in b.size([100, 500, 1000], [3]):
        size(b, n)
    sockets(b, b.size(100, 3), 20)


def sockets(b, n, each):
    """The same namespaces with a process of so many sockets in each: the share of the sockets cannot be told apart
    from that of the namespaces, so the whole is compared."""
    links = live.links()
    database = b.path("sockets.db")
    with live.Tasks(b, n, each) as scene:
        b.sh([b.nsimg, "dump", "--pid", str(scene.pid), "-o", database])
    here = f"netns-{os.stat('/proc/self/ns/net').st_ino}=/proc/self/ns/net"
    rows = b.sh(["sqlite3", database, "SELECT n.name FROM device d JOIN netns n ON n.id = d.netns"
                 " WHERE d.kind = 'veth' ORDER BY n.id"]).split()
    b.check(len(rows) == n, f"{len(rows)} devices in the database")
    veths = [word for k, name in enumerate(rows, 1) for word in ("--veth", f"{name}/eth0=v{k}")]

    def rollback():
        b.check(live.links() == links + n, f"restored {live.links() - links} links of {n}")
        b.sh([b.nsimg, "rollback"])
        b.check(live.links() == links, "links are left after the rollback")
    b.compare(f"restore of {n} namespaces, {n} tasks and {n * each} sockets", [
        Run("nsimg restore", [b.nsimg, "restore", database, "--netns", here, *veths], after=rollback),
        Run("limit", [b.limit("restore"), str(n), str(each), "tasks"], after=lambda: live.wait_links(links)),
    ], per=n * each, unit="socket", targets={} if b.smoke else {"limit": 1.5}, runs=5)


def size(b, n):
    links = live.links()
    clean = lambda: live.drop_names(links)  # noqa: E731
    database = b.path(f"scene{n}.db")
    names = [word for k in range(1, n + 1) for word in ("--netns", f"n{k}")]
    veths = [word for k in range(1, n + 1) for word in ("--veth", f"n{k}/eth0=v{k}")]
    limit = [b.limit("restore"), str(n), "0", "names"]
    b.sh(limit)
    b.sh([b.nsimg, "dump", *names, "-o", database])
    clean()
    takes_back = []

    def rollback():
        one = Run("nsimg rollback", [b.nsimg, "rollback"])
        b.check(live.links() == links + n, f"restored {live.links() - links} links of {n}")
        one.once()
        takes_back.extend(one.seconds)
        b.check(live.links() == links, "links are left after the rollback")
        b.check(not os.listdir(live.NAMES), "names are left after the rollback")

    peer = min(n, b.size(100, 3))
    scripts(b, peer)
    restore = Run("nsimg restore", [b.nsimg, "restore", database, *veths], after=rollback)
    targets = {"limit": 1.25, f"ip -batch ({peer})": 1 / 3, f"shell of ip ({peer})": 1 / 12}
    b.compare(f"restore of {n} namespaces", [
        restore,
        Run("limit", limit, after=clean),
        Run(f"ip -batch ({peer})", ["sh", b.path("batch.sh")], after=clean, share=peer / n, runs=2),
        Run(f"shell of ip ({peer})", ["sh", b.path("shell.sh")], after=clean, share=peer / n, runs=2),
    ], per=n, unit="namespace", targets={} if b.smoke else targets, runs=3)
    rolled = iter(takes_back)
    close = [b.limit("restore"), str(n), "0", "close"]
    b.compare(f"rollback of {n} namespaces, until the last link is gone", [
        Run("nsimg rollback", call=lambda: next(rolled)),
        Run("limit (close all)", call=lambda: live.seconds_of(b.sh(close))),
    ], per=n, unit="namespace", targets={} if b.smoke else {"limit (close all)": 1}, runs=3)
