#!/usr/bin/env python3
"""refuse.py [outside]: a small tree that has what CRIU refuses to dump; with "outside" the process outside of it that
some of that needs. /mnt/pids gets the pids of the first process and of its children when all is there."""
import ctypes, os, socket, subprocess, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
NEWNET, NEWUSER, SEIZE, UDP_CORK = 0x40000000, 0x10000000, 0x4206, 1


def done(pids):
    with open('/mnt/pids.new', 'w') as f:
        print(*pids, file=f)
    os.rename('/mnt/pids.new', '/mnt/pids')


def outside():
    s = socket.socket(socket.AF_UNIX)
    s.bind('\0outside')
    s.listen()
    c, _ = s.accept()
    traced = int(c.recv(20))
    if libc.ptrace(SEIZE, traced, 0, 0):
        sys.exit('cannot trace')
    c.send(b'x')
    time.sleep(600)


def child(fn):
    done, end = os.pipe()
    pid = os.fork()
    if not pid:
        fn()
        os.close(done)
        os.close(end)
        time.sleep(600)
    os.close(end)
    os.read(done, 1)
    os.close(done)
    return pid


def tree():
    kept = []
    # a connection in the namespace where nsimg is, and one that waits to be accepted
    listener = socket.create_server(('127.0.0.1', 7100))
    a = socket.create_connection(('127.0.0.1', 7100))
    b, _ = listener.accept()
    kept += [listener, a, b, socket.create_connection(('127.0.0.1', 7100))]
    # families
    kept += [socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262), socket.socket(40, socket.SOCK_STREAM)]
    corked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    corked.connect(('127.0.0.1', 9))
    corked.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 1)
    corked.send(b'corked')
    # groups of netlink without a port, and above 32 (RTNLGRP_NEXTHOP 32, RTNLGRP_BRVLAN 33, RTNLGRP_MCTP_IFADDR 34)
    for port, group in (False, 1), (True, 34):
        joined = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        if port:
            joined.bind((0, 0))
        joined.setsockopt(270, 1, group)
        kept.append(joined)
    # a namespace that only a socket keeps alive
    home = os.open('/proc/self/ns/net', os.O_RDONLY)
    os.unshare(NEWNET)
    kept.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    # unread: the group of links
    nl = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    nl.bind((0, 1))
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    os.setns(home, NEWNET)
    os.close(home)
    ready = threading.Event()

    def elsewhere():
        libc.unshare(NEWNET)
        ready.set()
        time.sleep(600)
    threading.Thread(target=elsewhere, daemon=True).start()
    ready.wait()
    nested, traced = child(lambda: libc.unshare(NEWUSER)), child(lambda: None)
    out = socket.socket(socket.AF_UNIX)
    while out.connect_ex('\0outside'):
        time.sleep(0.02)
    out.send(b'%d' % traced)
    out.recv(1)
    done([os.getpid(), nested, traced])
    time.sleep(600)
    print(kept, corked, nl)


outside() if sys.argv[1:] else tree()
