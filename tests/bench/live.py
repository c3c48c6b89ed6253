"""Scenes of the live benchmarks: the namespaces that limit/restore makes, as names in /run/netns, or with tasks."""

import glob
import os
import re
import socket
import subprocess
import time

from bench import Failed

NAMES = "/run/netns"


def links():
    return len(socket.if_nameindex())


def wait_links(n, seconds=120):
    """Until only n links are left here: the kernel takes a namespace down after its last user is gone."""
    end = time.monotonic() + seconds
    while links() > n:
        if time.monotonic() > end:
            raise Failed(f"{links() - n} links are still there after {seconds} s")
        time.sleep(0.002)


def drop_names(n_links):
    names = glob.glob(NAMES + "/*")
    if names:
        subprocess.run(["umount", "-l", *names], check=True)
        for name in names:
            os.unlink(name)
    wait_links(n_links)


def seconds_of(text):
    found = re.search(r"^seconds ([\d.]+)$", text, re.M)
    if not found:
        raise Failed(f"no seconds in: {text[-500:]}")
    return float(found.group(1))


class Tasks:
    """n namespaces with a process of so many sockets each; or, mode "one", a process that has them all."""

    def __init__(self, b, n, sockets, mode="wait", flat=False):
        words = [b.limit("restore"), str(n), str(sockets), mode] + (["flat"] if flat else [])
        self.links = links()
        self.child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.child.pid
        for line in self.child.stdout:
            if line == "ready\n":
                return
        raise Failed(f"{' '.join(words)}: ended with {self.child.wait()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait()
        wait_links(self.links)
