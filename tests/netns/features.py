#!/usr/bin/env python3
"""features.py DEVICE [NAME=0|1 ...]: switch offloads of a device as ethtool -K does (SIOCETHTOOL), and print them all."""
import array
import fcntl
import socket
import struct
import sys

# include/uapi/linux/ethtool.h: ETHTOOL_GRXCSUM, _GTXCSUM, _GSG, _GTSO, _GGSO, _GGRO; setting is the number after it
GET = {'rx': 0x14, 'tx': 0x16, 'sg': 0x18, 'tso': 0x1e, 'gso': 0x23, 'gro': 0x2b}
SIOCETHTOOL = 0x8946


def call(device, command, value=0):
    data = array.array('B', struct.pack('II', command, value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCETHTOOL, struct.pack('16sQ16x', device.encode(), data.buffer_info()[0]))
    return struct.unpack('II', data.tobytes())[1]


for word in sys.argv[2:]:
    name, value = word.split('=')
    call(sys.argv[1], GET[name] + 1, int(value))
print(sys.argv[1], {name: call(sys.argv[1], number) for name, number in GET.items()})
