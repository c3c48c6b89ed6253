#!/usr/bin/env python3
"""own.py tree | outside PIDFILE: a process in the network namespace that nsimg is in, and one outside of its tree, each
with a connection to the other. Who connects to the tree's port 7200 gets one line: what came back through the connection to
the process outside (which echoes lines, and sends one of its own for each SIGUSR1), how many lines of its own came,
what came through a connection of the tree with itself, and whether one that asks is answered yet."""
import os
import signal
import socket
import sys

from ready import ready


def outside():
    listener = socket.create_server(('127.0.0.1', 7201))
    ready(sys.argv[2])
    c, _ = listener.accept()
    signal.signal(signal.SIGUSR1, lambda *_: c.send(b'news\n'))
    for line in c.makefile():
        c.send(line.encode())


def tree():
    os.setsid()
    os.closerange(3, 256)
    s = socket.create_server(('127.0.0.1', 7200))
    out = socket.create_connection(('127.0.0.1', 7201))
    with socket.create_server(('::1', 7202), family=socket.AF_INET6) as listener:
        near = socket.create_connection(('::1', 7202))
        far, _ = listener.accept()
    asking = socket.socket()
    asking.setblocking(False)
    asking.connect_ex(('127.0.0.1', 7203))
    for c in out, near, far:
        c.settimeout(30)
    lines = out.makefile()
    ready(sys.argv[2])
    while True:
        c, _ = s.accept()
        out.send(b'ping\n')
        news = 0
        while (line := lines.readline()) != 'ping\n':
            news += line == 'news\n'
        near.send(b'near')
        far.send(b'far.')
        asked = 'waits' if asking.connect_ex(('127.0.0.1', 7203)) else 'answered'
        c.send(b'outside=ok news=%d pair=%s%s asks=%s\n' % (news, far.recv(4), near.recv(4), asked.encode()))
        c.close()


{'tree': tree, 'outside': outside}[sys.argv[1]]()
