"""nsimg plan of 1 000 namespaces, 2 000 devices and 20 000 sockets, against nsimg restore, which carries it out."""

from bench import Run

NEEDS_ROOT = True


def run(b):
    n = b.size(1000, 10)
    database = b.path("nsimg.db")
    b.sh([b.nsimg, "import", database, b.image(sockets=n * 20, per_task=20, namespaces=n, bindable=1)])
    steps = len(b.sh([b.nsimg, "plan", database]).splitlines()) - 1
    rounds = b.size(3, 1)
    restore = Run("nsimg restore", [b.nsimg, "restore", database],
                  after=lambda: b.sh([b.nsimg, "rollback"]), runs=rounds)
    b.compare(f"plan of {n} namespaces, {2 * n} devices, {20 * n} sockets", [
        Run("nsimg plan", [b.nsimg, "plan", database]), restore,
    ], per=steps, unit="step", targets={"nsimg restore": 0.05} if not b.smoke else {})
