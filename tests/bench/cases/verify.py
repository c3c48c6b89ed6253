"""nsimg verify of restored namespaces, against the restore."""

import live
from bench import Run

NEEDS_ROOT = True


def run(b):
    links = live.links()
    for n in b.size([100, 1000], [3]):
        names = [word for k in range(1, n + 1) for word in ("--netns", f"n{k}")]
        veths = [word for k in range(1, n + 1) for word in ("--veth", f"n{k}/eth0=v{k}")]
        database = b.path(f"scene{n}.db")
        b.sh([b.limit("restore"), str(n), "0", "names"])
        b.sh([b.nsimg, "dump", *names, "-o", database])
        live.drop_names(links)
        restore = Run("nsimg restore", [b.nsimg, "restore", database, *veths])
        verify = Run("nsimg verify", [b.nsimg, "verify"], after=lambda: b.sh([b.nsimg, "rollback"]))
        restore.once()
        b.compare(f"verify of {n} namespaces", [verify], per=n, unit="namespace", runs=1)
