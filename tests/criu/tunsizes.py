#!/usr/bin/env python3
"""Tun and tap devices with sizes of their own, which CRIU keeps with the device.

    tunsizes.py start FILE  a task with them, in a network namespace of its own; FILE has its pid when it is ready
    tunsizes.py look PID    what the descriptors say
"""
import ctypes
import fcntl
import os
import struct
import sys
import time

from ready import ready

SYS_PIDFD_GETFD = 438
TUNSETIFF, TUNGETSNDBUF, TUNSETSNDBUF, TUNGETVNETHDRSZ, TUNSETVNETHDRSZ = 0x400454ca, 0x800454d3, 0x400454d4, 0x800454d7, 0x400454d8
IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 1, 2, 0x1000, 0x4000
libc = ctypes.CDLL(None, use_errno=True)


def device(name, flags, **sizes):
    fd = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), flags | IFF_NO_PI))
    for request, size in ((TUNSETVNETHDRSZ, sizes.get('header')), (TUNSETSNDBUF, sizes.get('sndbuf'))):
        if size:
            fcntl.ioctl(fd, request, struct.pack('i', size))
    return fd


if sys.argv[1] == 'start':
    os.setsid()
    os.closerange(3, 256)
    os.unshare(0x40000000)
    keep = [device('t0', IFF_TUN | IFF_VNET_HDR, header=12), device('t1', IFF_TAP, sndbuf=5000), device('t2', IFF_TUN)]
    ready(sys.argv[2])
    while keep:
        time.sleep(600)
pid = int(sys.argv[2])
for number in sorted(int(n) for n in os.listdir('/proc/%d/fd' % pid)):
    if os.readlink('/proc/%d/fd/%d' % (pid, number)) == '/dev/net/tun':
        fd = libc.syscall(SYS_PIDFD_GETFD, os.pidfd_open(pid), number, 0)
        print(number, *(struct.unpack('i', fcntl.ioctl(fd, r, bytes(4)))[0] for r in (TUNGETVNETHDRSZ, TUNGETSNDBUF)))
