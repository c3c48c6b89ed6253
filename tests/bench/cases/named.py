"""Every ready query (nsimg sql --named) over everything: 1 000 000 sockets in 1 000 namespaces."""

import json

from bench import Run


def run(b):
    n = b.size(1_000_000, 10_000)
    database = b.path("nsimg.db")
    b.sh([b.nsimg, "import", database, b.image(sockets=n, per_task=b.size(1000, 100), namespaces=b.size(1000, 100))])
    for query in json.loads(b.sh([b.nsimg, "sql", "--list-named", "--json"])):
        words = [b.nsimg, "sql", database, "--named", query["name"]]
        rows = len(b.sh([*words, "--no-header"]).splitlines())
        work = f"{query['name']} ({rows} rows)"
        seconds = b.compare(work, [Run("nsimg sql", words)])
        b.value(work, seconds["nsimg sql"], "s", at_most=1)
