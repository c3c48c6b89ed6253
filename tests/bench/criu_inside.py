"""Inside the tree with a current CRIU (tests/criu/tree.sh), for cases/criu.py:

    python3 criu_inside.py NAMESPACES SOCKETS

CRIU dumps a scene of limit/restore. Prints how many seconds of it were for the network, by the times in CRIU's log:
collecting the sockets of all namespaces, and dumping the namespaces; not its start, not the network lock, not the
descriptors of the tasks."""

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = "/tmp/images"
PIDFD_GETFD = 438
LINE = re.compile(r"^\((\d+\.\d+)\) (.*)")  # of the log: "(00.123456) text"
# the lines with which a part begins and ends
PARTS = [("net: Collecting netns", "No parent images directory"), ("Dump NET namespace", "Namespaces dump complete")]
UNREAD = "netlink: The socket has data to read"


def first(log, text):
    found = next((line for line in log if line.group(2).startswith(text)), None)
    if not found:
        sys.exit(f"no line in CRIU's log begins with: {text}")
    return float(found.group(1))


def tree(pid):
    yield pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        for child in file.read().split():
            yield from tree(int(child))


def empty_netlink(pid):
    """CRIU refuses a netlink socket with unread messages, and here they hear of links that come up."""
    pidfd = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
        got = ctypes.CDLL(None).syscall(PIDFD_GETFD, pidfd, int(name), 0)
        with socket.socket(fileno=got) as sock:
            try:
                while sock.family == socket.AF_NETLINK:
                    sock.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
    os.close(pidfd)


def dump(pid):
    for task in tree(pid):
        empty_netlink(task)
    shutil.rmtree(IMAGES, ignore_errors=True)
    os.mkdir(IMAGES)
    done = subprocess.run(["criu", "dump", "-t", str(pid), "-D", IMAGES, "-v4", "-o", "log", "--leave-running"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    with open(f"{IMAGES}/log", encoding="utf-8", errors="replace") as file:
        text = file.read()
    return done.returncode == 0, text


def main():
    n, sockets = sys.argv[1:]
    # CRIU dumps namespaces only when the first task is not in its own
    scene = subprocess.Popen(["unshare", "--net", f"{HERE}/restore", n, sockets, "wait"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, start_new_session=True, cwd="/")
    if "ready\n" not in scene.stdout:
        sys.exit(f"the scene ended with {scene.wait()}")
    for _ in range(20):
        done, text = dump(scene.pid)
        if done or UNREAD not in text:
            break
        time.sleep(0.2)
    if not done:
        sys.exit("\n".join(text.splitlines()[-20:]))
    log = [line for line in map(LINE.match, text.splitlines()) if line]
    print(sum(first(log, end) - first(log, begin) for begin, end in PARTS))
    scene.stdin.close()
    scene.wait()


main()
