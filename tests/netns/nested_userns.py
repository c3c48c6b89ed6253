#!/usr/bin/env python3
"""Three processes that sleep: one as it was started, one in a user namespace, one in a user namespace below that
one, with a network namespace that the lowest owns. Becomes the first of them."""
import ctypes, os

libc = ctypes.CDLL(None, use_errno=True)
NEWUSER, NEWNET, PR_SET_DUMPABLE = 0x10000000, 0x40000000, 4


def unshare(flag):
    if libc.unshare(flag):
        raise OSError(ctypes.get_errno(), 'unshare')


def write_maps(pid, text):
    for name in ('uid_map', 'gid_map'):
        with open(f'/proc/{pid}/{name}', 'w') as f:
            f.write(text)


def child(maps, then):
    """A child in a new user namespace, which goes on with then() when its maps are written."""
    up, down = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        unshare(NEWUSER)
        # after a change of ids the files in /proc belong to a root that the parent does not have (proc(5))
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        os.write(up[1], b'x')
        os.read(down[0], 1)
        then()
        os.execvp('sleep', ['sleep', '300'])
    os.read(up[0], 1)
    write_maps(pid, maps)
    os.write(down[1], b'x')


def middle():
    os.setgid(0)
    os.setuid(0)
    child('0 1000 10\n', lambda: unshare(NEWNET))


child('0 100000 65536\n', middle)
os.execvp('sleep', ['sleep', '300'])
