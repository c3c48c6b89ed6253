"""nsimg dump of namespaces with 20 sockets each, against the limit and ss and four ip dumps in each of them; and of
one process with 16 000 sockets. The images go to a tmpfs: how a file system makes files is not measured here."""

import json
import re
import shutil

import live
from bench import Run

NEEDS_ROOT = True
NEEDS = ["ip", "ss", "nsenter"]
LOOK = "ss -anpiem; ip -d link; ip addr; ip route show table all; ip neigh"


def dump(b, scene, frozen):
    out = "/run/dump"

    def report(text):
        frozen.append(json.loads(text)[0]["frozen_us"] / 1e6)
        return {}
    return Run("nsimg dump", [b.nsimg, "dump", "--json", "--pid", str(scene.pid), "-o", out],
               before=lambda: shutil.rmtree(out, ignore_errors=True), extra=report)


def limit(b, scene, namespaces, sockets):
    """The limit program must have met the same namespaces and sockets; the process that holds them has none."""
    def counted(text):
        got = {name: int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))
               for name in ("namespaces", "sockets", "sysctls")}
        b.check(got["namespaces"] in (namespaces, namespaces + 1) and got["sockets"] in (sockets, sockets + 1),
                f"the limit program read {got}")
        return {}
    return Run("limit", [b.limit("dump"), str(scene.pid)], extra=counted)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()


def namespaces(b, n):
    frozen = []
    with live.Tasks(b, n, 20) as scene:
        pids = children(scene.pid)
        b.check(len(pids) == n, f"{len(pids)} tasks of {n}")
        some = pids[:b.size(20, 2)]
        look = "for p in " + " ".join(some) + f"; do nsenter -t $p -n sh -c '{LOOK}' >/dev/null || exit 1; done"
        run, peer = dump(b, scene, frozen), f"ss and 4 ip ({len(some)})"
        times = b.compare(f"dump of {n} namespaces with 20 sockets each", [
            run, limit(b, scene, n, 20 * n), Run(peer, ["sh", "-c", look], share=len(some) / n, runs=2),
        ], per=n, unit="namespace", targets={} if b.smoke else {"limit": 1.3, peer: 1 / 8}, runs=3)
        if not b.smoke:
            share = sorted(f / s for f, s in zip(frozen, run.seconds))[len(frozen) // 2]
            b.value(f"part of the time that the tasks stand still, {n} namespaces", share, "", at_most=0.5)
    return times["nsimg dump"] / n


def run(b):
    sizes = b.size([100, 500, 1000], [3])
    each = [namespaces(b, n) for n in sizes]
    if not b.smoke:
        b.value("dump of a namespace, 1000 of them against 100", each[-1] / each[0], "times", at_most=1.5)
    n = b.size(16_000, 50)
    with live.Tasks(b, 0, n, "one") as scene:
        b.compare(f"dump of a process with {n} sockets", [dump(b, scene, []), limit(b, scene, 1, n)],
                  per=n, unit="socket", targets={} if b.smoke else {"limit": 1.5}, runs=3)
