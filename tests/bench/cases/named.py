"""Every ready query (nsimg sql --named) over everything: 1 000 000 sockets in 1 000 namespaces, of one image and of two."""

import json

from bench import Run


def queries(b, database, text):
    for query in json.loads(b.sh([b.nsimg, "sql", "--list-named", "--json"])):
        words = [b.nsimg, "sql", database, "--named", query["name"]]
        rows = len(b.sh([*words, "--no-header"]).splitlines())
        work = f"{query['name']}{text} ({rows} rows)"
        seconds = b.compare(work, [Run("nsimg sql", words)])
        b.value(work, seconds["nsimg sql"], "s", at_most=1)


def run(b):
    n = b.size(1_000_000, 10_000)
    namespaces, per_task = b.size(1000, 100), b.size(1000, 100)
    one, two = b.path("one.db"), b.path("two.db")
    b.sh([b.nsimg, "import", one, b.image(sockets=n, per_task=per_task, namespaces=namespaces)])
    queries(b, one, "")
    b.remove("one.db")
    half = b.image(sockets=n // 2, per_task=per_task, namespaces=namespaces)
    for _ in range(2):
        b.sh([b.nsimg, "import", "--again", two, half])
    queries(b, two, ", two images")
