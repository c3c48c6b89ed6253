"""nsimg sockets with a selective filter on 1 000 000 sockets, against the same indexed query in sqlite3."""

from bench import Run

FILTERS = [
    ("sport = :5000", "SELECT s.*, i.* FROM inet_socket i JOIN socket s ON s.id = i.socket WHERE i.src_port = 5000"),
    ("src 10.0.0.7", "SELECT s.*, i.* FROM inet_socket i JOIN socket s ON s.id = i.socket WHERE i.src = '10.0.0.7'"),
    ("dst 10.99.0.1 and sport = :5002",
     "SELECT s.*, i.* FROM inet_socket i JOIN socket s ON s.id = i.socket"
     " WHERE i.src_port = 5002 AND i.dst = '10.99.0.1'"),
]


def run(b):
    n = b.size(1_000_000, 10_000)
    database = b.path("nsimg.db")
    b.sh([b.nsimg, "import", database, b.image(sockets=n, per_task=1000, namespaces=b.size(100, 4))])
    for words, sql in FILTERS:
        ours = b.sh([b.nsimg, "sockets", database, *words.split()]).strip().splitlines()[1:]
        theirs = b.sh(["sqlite3", "-readonly", database, sql]).strip().splitlines()
        b.check(len(ours) == len(theirs), f"{words}: {len(ours)} lines, sqlite3 has {len(theirs)} rows")
        b.compare(f"sockets {words} ({len(ours)} of {n})", [
            Run("nsimg sockets", [b.nsimg, "sockets", database, *words.split()]),
            Run("sqlite3", ["sqlite3", "-readonly", database, sql]),
        ], targets={"sqlite3": 2})


NEEDS = ["sqlite3"]
