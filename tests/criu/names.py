#!/usr/bin/env python3
"""Datagram sockets that CRIU binds or connects wrongly, or not at all.

    names.py start FILE  a task with them, in a network namespace of its own; FILE has its pid when it is ready
    names.py look PID    what getsockname(2), getpeername(2) and getsockopt(2) say of them
"""
import ctypes
import os
import socket
import sys
import time

from ready import ready

SYS_PIDFD_GETFD = 438
SO_REUSEPORT, SO_BINDTODEVICE, IPPROTO_UDPLITE = 15, 25, 136
libc = ctypes.CDLL(None, use_errno=True)


def run(words):
    if os.system(words):
        sys.exit(1)


def datagram(family, bound=None, peer=None, *options, protocol=0):
    s = socket.socket(family, socket.SOCK_DGRAM, protocol)
    for option in options:
        s.setsockopt(socket.SOL_SOCKET, option, 1)
    if bound:
        s.bind(bound)
    if peer:
        s.connect(peer)
    return s


def start(path):
    os.setsid()
    os.closerange(3, 256)
    os.unshare(0x40000000)
    for words in ('link set lo up', 'link add va type veth peer name vb', 'address add 10.9.0.1/24 dev va',
                  'address add 10.9.5.1/24 dev va', 'address add fd09::1/64 nodad dev va', 'link set va up', 'link set vb up'):
        run('ip ' + words)
    # the routes of link-local addresses come with the carrier
    run('/mnt/settle /proc/self/ns/net')
    with open('/proc/sys/net/ipv4/ping_group_range', 'w') as f:
        f.write('0 0')
    four, six, index = socket.AF_INET, socket.AF_INET6, socket.if_nametoindex('va')
    sockets = [
        datagram(four, None, ('10.9.0.255', 6), socket.SO_BROADCAST),
        datagram(four, ('10.9.0.1', 7), ('10.9.0.255', 7), socket.SO_BROADCAST),
        datagram(six, ('fd09::1', 11), ('fe80::9', 11, 0, index)),
        datagram(six, ('fd09::1', 12), ('ff02::1', 12, 0, index)),
        datagram(six, ('ff02::77', 13, 0, index)),
        datagram(six, ('ff01::77', 14, 0, index)),
        # where no route leads below
        datagram(four, None, ('10.9.5.77', 15)),
        datagram(six, None, ('fd09::9', 16)),
        datagram(six, None, ('::ffff:10.9.5.77', 16)),
        # an address that goes below
        datagram(four, ('10.9.5.1', 17)),
        # shared, by two that gave up what allowed it, and by a group
        datagram(four, ('10.9.0.1', 18), None, socket.SO_REUSEADDR),
        datagram(four, ('10.9.0.1', 18), ('10.9.0.1', 7), socket.SO_REUSEADDR),
        datagram(six, ('::', 19), None, SO_REUSEPORT),
        datagram(six, ('::', 19), None, SO_REUSEPORT),
        datagram(four, ('10.9.0.1', 20), ('10.9.0.1', 18), protocol=IPPROTO_UDPLITE),
        # an identity of echo requests for a port
        datagram(four, ('0.0.0.0', 77), protocol=socket.IPPROTO_ICMP),
        datagram(six, ('fd09::1', 78), protocol=socket.IPPROTO_ICMPV6),
        # not bound
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    ]
    sockets[1].setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 0)
    for s in sockets[10:12]:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    sockets[0].shutdown(socket.SHUT_RD)
    for words in ('-6 route delete fd09::/64 dev va', 'address delete 10.9.5.1/24 dev va'):
        run('ip ' + words)
    ready(path)
    while sockets:
        time.sleep(600)


def look(pid):
    pidfd = os.pidfd_open(pid)
    for number in sorted(int(n) for n in os.listdir('/proc/%d/fd' % pid)):
        if not os.readlink('/proc/%d/fd/%d' % (pid, number)).startswith('socket:'):
            continue
        s = socket.socket(fileno=libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0))
        try:
            peer = s.getpeername()
        except OSError:
            peer = None
        print(number, s.getsockname(), peer, s.getsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, 16),
              *(s.getsockopt(socket.SOL_SOCKET, o) for o in (socket.SO_REUSEADDR, SO_REUSEPORT, socket.SO_BROADCAST)))


if sys.argv[1] == 'start':
    start(sys.argv[2])
else:
    look(int(sys.argv[2]))
