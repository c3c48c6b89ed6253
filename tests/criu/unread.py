#!/usr/bin/env python3
"""unread.py PIDFILE: a process in a network namespace of its own with what CRIU does not keep: an unread datagram (UDP and
packet sockets), and urgent bytes in a connection and in a pair of unix sockets."""
import os
import select
import socket
import sys
import time

from ready import ready

os.setsid()
os.closerange(3, 256)
os.unshare(0x40000000)
os.system('ip link set lo up')
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound.bind(('127.0.0.1', 5556))
listener = socket.create_server(('127.0.0.1', 7101))
near = socket.create_connection(('127.0.0.1', 7101))
far, _ = listener.accept()
left, right = socket.socketpair()
packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
sender.sendto(b'one', ('127.0.0.1', 5556))
for end in near, left:
    end.send(b'a')
    end.send(b'b', socket.MSG_OOB)
for waits in (bound, packets):
    select.select([waits], [], [])
for urgent in (far, right):
    select.select([], [], [urgent])
ready(sys.argv[1])
time.sleep(600)
