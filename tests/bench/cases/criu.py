"""nsimg dump of namespaces with 20 sockets each, against what criu dump needs for the network alone

by the times in its log. CRIU runs in the tree that the tests make (tests/criu/tree.sh make)."""

import os
import shutil

import live
from bench import Run, Skip

NEEDS_ROOT = True
NEEDS = ["unshare"]
HERE = os.path.dirname(os.path.abspath(__file__))
TREE_SH = os.path.join(HERE, "..", "..", "criu", "tree.sh")


def need_tree():
    tree = os.environ.get("NSIMG_CRIU_TREE") or os.path.join(HERE, "..", "..", "..", "build", "criu-tree")
    if not os.path.exists(os.path.join(tree, "made")):
        raise Skip("no tree with a current CRIU (tests/criu/tree.sh make)")


def run(b):
    need_tree()
    out, share = "/run/dump", b.path("share")
    os.mkdir(share)
    for path in (b.limit("restore"), os.path.join(HERE, "..", "criu_inside.py")):
        shutil.copy(path, share)
    for n in b.size([20, 100], [2]):
        def criu(n=n):
            words = [TREE_SH, "run", "python3", "/mnt/criu_inside.py", str(n), "20"]
            return float(b.sh(words, env={**os.environ, "SHARE": share}).splitlines()[-1])
        with live.Tasks(b, n, 20) as scene:
            b.compare(f"dump of {n} namespaces with 20 sockets each, and CRIU's share for the network", [
                Run("nsimg dump", [b.nsimg, "dump", "--json", "--pid", str(scene.pid), "-o", out],
                    before=lambda: shutil.rmtree(out, ignore_errors=True)),
                Run("criu dump, network", call=criu),
            ], per=n, unit="namespace", targets={} if b.smoke else {"criu dump, network": 1 / 25}, runs=3)
