#!/usr/bin/env python3
"""queued.py PIDFILE GO OUT [data]: a process with what waits in queues: a datagram socket and one end of a pair sent over
another pair (SCM_RIGHTS) and closed, and a unix connection that nobody has accepted; with "data" one to which was written.
When GO is there it takes all of it out, and writes what it found to OUT."""
import array
import os
import socket
import sys
import time

from ready import ready

pidfile, go, result = sys.argv[1:4]
os.setsid()
os.closerange(3, 256)
os.unshare(0x40000000)
os.system('ip link set lo up')
near, far = socket.socketpair()
bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound.bind(('127.0.0.1', 5555))
kept, sent = socket.socketpair()
kept.send(b'inside')
rights = array.array('i', [bound.fileno(), sent.fileno()])
near.sendmsg([b'm'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
bound.close()
sent.close()
listener = socket.socket(socket.AF_UNIX)
listener.bind('\0queued')
listener.listen(5)
waiting = socket.socket(socket.AF_UNIX)
waiting.connect('\0queued')
if len(sys.argv) > 4:
    waiting.send(b'early')
ready(pidfile)
while not os.path.exists(go):
    time.sleep(0.02)
_, ancillary, _, _ = far.recvmsg(10, 100)
rights = array.array('i')
rights.frombytes(ancillary[0][2][:8])
bound, sent = (socket.socket(fileno=n) for n in rights)
accepted, _ = listener.accept()
waiting.send(b'late')
accepted.settimeout(30)
with open(result + '.new', 'w') as f:
    print(*bound.getsockname(), sent.recv(10).decode(), accepted.recv(10).decode(), file=f)
os.rename(result + '.new', result)
time.sleep(600)
