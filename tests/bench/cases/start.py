"""the start of the program: nsimg help, against /bin/true."""

import time

from bench import Run


def many(b, argv, n):
    def call():
        start = time.monotonic()
        for _ in range(n):
            b.sh(argv)
        return (time.monotonic() - start) / n
    return call


def run(b):
    n = b.size(50, 2)
    times = b.compare("start", [Run("nsimg help", call=many(b, [b.nsimg, "help"], n)),
                                Run("true", call=many(b, ["/bin/true"], n))])
    b.value("start of nsimg help", times["nsimg help"] * 1e3, "ms", at_most=b.size(10, 1000))
