"""nsimg dump of namespaces with 20 sockets each, against ip netns exec ss and four ip dumps in each of them; and
of one process with 16 000 sockets."""

import json

import live
from bench import Run

NEEDS_ROOT = True
NEEDS = ["ip", "ss", "nsenter"]
LOOK = "ss -anpiem; ip -d link; ip addr; ip route show table all; ip neigh"


def dump(b, scene, frozen):
    def report(text):
        frozen.append(json.loads(text)["frozen_us"] / 1e6)
        return {}
    return Run("nsimg dump", [b.nsimg, "dump", "--json", "--pid", str(scene.pid), "-o", b.path("dump")],
               before=lambda: b.remove("dump"), extra=report)


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
            run, Run(peer, ["sh", "-c", look], share=len(some) / n, runs=2),
        ], per=n, unit="namespace", targets={} if b.smoke else {peer: 1 / 8}, runs=3)
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
        b.compare(f"dump of a process with {n} sockets", [dump(b, scene, [])], per=n, unit="socket", runs=3)
