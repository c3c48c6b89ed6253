#!/usr/bin/env python3
"""A task with what CRIU loses or refuses, and a way to look at it from outside.

    odd.py start FILE   the task, in a network namespace of its own, in the background; FILE has its pid when it is ready
    odd.py look PID     all that getsockopt(2) says of its sockets, by level and number, their users; groups; tun queues
    odd.py ask PID      through the connection that is signed (RFC 2385) a word goes to the task and back; and whether
                        the listener that has a key takes a connection that is not signed
"""
import ctypes
import fcntl
import os
import socket
import struct
import sys

from ready import ready

CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETPERSIST = 0x400454ca, 0x400454cb
IFF_TUN, IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI = 1, 2, 0x100, 0x1000
TCP_MD5SIG = 14
SO_PEEK_OFF, SO_BUSY_POLL, SO_SELECT_ERR_QUEUE, SO_TIMESTAMPING = 42, 46, 45, 37
IP_MINTTL, IP_MULTICAST_ALL, IP_UNICAST_IF, IP_RECVFRAGSIZE, IP_RECVERR, IP_FREEBIND = 21, 49, 50, 25, 11, 15
MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP, MCAST_BLOCK_SOURCE = 42, 46, 43
SIGNED_FAR, SIGNED_NEAR = 21, 22  # descriptors
libc = ctypes.CDLL(None, use_errno=True)


def tun(name, flags, persistent):
    fd = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), flags | IFF_NO_PI))
    if persistent:
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
    return fd


def md5(s, port):
    peer = struct.pack('=H', socket.AF_INET) + struct.pack('!H4s', port, socket.inet_aton('127.0.0.1')) + bytes(120)
    s.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, peer + struct.pack('=BBHI', 0, 0, 6, 0) + b'secret'.ljust(80, b'\0'))


def group(family, group_address, index, source=None):
    def address(text):
        if family == socket.AF_INET:
            return struct.pack('=HH4s120x', family, 0, socket.inet_aton(text))
        return struct.pack('=HHI16s104x', family, 0, 0, socket.inet_pton(family, text))
    return struct.pack('=I4x', index) + address(group_address) + (address(source) if source else b'')


def datagrams():
    index = socket.if_nametoindex('va')
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(('0.0.0.0', 7002))
    u.setsockopt(socket.IPPROTO_IP, MCAST_JOIN_GROUP, group(socket.AF_INET, '239.1.2.3', index))
    u.setsockopt(socket.IPPROTO_IP, MCAST_BLOCK_SOURCE, group(socket.AF_INET, '239.1.2.3', index, '10.9.0.7'))
    u.setsockopt(socket.IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, group(socket.AF_INET, '239.4.5.6', index, '10.9.0.8'))
    for opt, value in ((socket.IP_MULTICAST_TTL, 7), (socket.IP_MULTICAST_LOOP, 0), (IP_MULTICAST_ALL, 0),
                       (socket.IP_RECVTOS, 1), (IP_RECVERR, 1), (IP_MINTTL, 3), (IP_RECVFRAGSIZE, 1)):
        u.setsockopt(socket.IPPROTO_IP, opt, value)
    u.setsockopt(socket.IPPROTO_IP, IP_UNICAST_IF, socket.htonl(index))
    u.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, 0x18)
    u.setsockopt(socket.SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1)
    os.fchown(u.fileno(), 4711, -1)
    v = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    v.bind(('::', 7003))
    v.setsockopt(socket.IPPROTO_IPV6, MCAST_JOIN_GROUP, group(socket.AF_INET6, 'ff05::4711', index))
    v.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    v.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 9)
    v.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    return u, v


def streams():
    listener = socket.socket()
    listener.bind(('127.0.0.1', 7001))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 4321)
    listener.setsockopt(socket.SOL_SOCKET, SO_BUSY_POLL, 50)
    listener.listen(5)
    signed = socket.socket()
    signed.bind(('127.0.0.1', 7004))
    near = socket.socket()
    near.bind(('127.0.0.1', 7005))
    md5(signed, 0)
    md5(near, 7004)
    signed.listen(1)
    near.connect(('127.0.0.1', 7004))
    far, _ = signed.accept()
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 5555)
    far.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 2)
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    os.dup2(far.fileno(), SIGNED_FAR)
    os.dup2(near.fileno(), SIGNED_NEAR)
    far.close()
    near.close()
    return listener, signed


def start(path):
    os.closerange(3, 256)
    if os.fork():
        return
    os.setsid()
    libc.unshare(CLONE_NEWNET)
    # up without carrier: the other end is down
    for words in ('link set lo up', 'link add va type veth peer name vb', 'address add 10.9.0.1/24 dev va',
                  'address add fd09::1/64 nodad dev va', 'link set va up', 'route add 10.66.0.0/16 via 10.9.0.9 dev va'):
        if os.system('ip ' + words):
            sys.exit(1)
    keep = [tun('tun7', IFF_TUN, False), tun('tap7', IFF_TAP | IFF_MULTI_QUEUE, True),
            tun('tap7', IFF_TAP | IFF_MULTI_QUEUE, False)]
    os.system('ip link set tun7 up')
    sockets = [*datagrams(), *streams()]
    nl = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    nl.bind((0, 0))
    nl.setsockopt(270, 11, 1)
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pair[0].setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, 3)
    # bound to an address that no device has, and a raw socket that is bound
    free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    free.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    free.bind(('10.200.0.1', 7008))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.bind(('10.9.0.1', 0))
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    routing = socket.socket(socket.AF_INET, socket.SOCK_RAW, 89)
    for s in nl, pair[1], raw, packets, routing:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ready(path)
    far = socket.socket(fileno=SIGNED_FAR)
    while keep and sockets and nl and pair and free and raw and packets and routing:
        word = far.recv(100)
        far.send(word.upper())


def borrowed(pid):
    """Its descriptors, as duplicates here."""
    pidfd = os.pidfd_open(pid)
    for number in sorted(int(n) for n in os.listdir('/proc/%d/fd' % pid)):
        fd = libc.syscall(438, pidfd, number, 0)
        if fd >= 0:
            yield number, fd


def look(pid):
    # what counts or measures: SO_ERROR, SO_PEERCRED, SO_INCOMING_CPU, SO_MEMINFO, SO_INCOMING_NAPI_ID, SO_COOKIE,
    # SO_PEERPIDFD; TCP_INFO, TCP_QUEUE_SEQ, TCP_TIMESTAMP, TCP_CC_INFO, TCP_ZEROCOPY_RECEIVE
    moves = {(1, 4), (1, 17), (1, 49), (1, 55), (1, 56), (1, 57), (1, 77), (6, 11), (6, 21), (6, 24), (6, 26), (6, 35)}
    # and of a connection: IP_MULTICAST_TTL (that of the first packet), TCP_MAXSEG, TCP_WINDOW_CLAMP
    of_connection = {(0, 33), (6, 2), (6, 10)}
    for number, fd in borrowed(pid):
        link = os.readlink('/proc/%d/fd/%d' % (pid, number))
        if link == '/dev/net/tun':
            with open('/proc/%d/fdinfo/%d' % (pid, number)) as f:
                print(number, 'tun', ' '.join(line.strip() for line in f if line.startswith('iff')))
        if not link.startswith('socket:'):
            continue
        s = socket.socket(fileno=fd)
        print(number, 'family', s.family, 'user', os.fstat(fd).st_uid)
        if s.family in (socket.AF_INET, socket.AF_INET6):
            print(number, 'bound to', *s.getsockname())
        for level in (0, 1, 6, 17, 41, 270):
            for opt in range(1, 90):
                if (level, opt) in moves or (number >= SIGNED_FAR and (level, opt) in of_connection):
                    continue
                try:
                    value = s.getsockopt(level, opt, 64)
                except OSError:
                    continue
                print(number, level, opt, value.hex())


def ask(pid):
    for number, fd in borrowed(pid):
        if number == SIGNED_NEAR:
            s = socket.socket(fileno=fd)
            s.settimeout(30)
            s.send(b'word')
            print(s.recv(100).decode())
    with open('/proc/%d/ns/net' % pid) as ns:
        libc.setns(ns.fileno(), CLONE_NEWNET)
    try:
        socket.create_connection(('127.0.0.1', 7004), 0.5)
        print('not signed, and taken')
    except TimeoutError:
        print('not signed, no answer')


if sys.argv[1] == 'start':
    start(sys.argv[2])
else:
    {'look': look, 'ask': ask}[sys.argv[1]](int(sys.argv[2]))
