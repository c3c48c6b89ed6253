#!/usr/bin/env python3
"""without_netlink.py PROTOCOL COMMAND...: run COMMAND as on a kernel that has not this protocol of netlink.

socket(2) with it fails with EPROTONOSUPPORT, as netlink(7) has it, by a filter of seccomp(2) (libseccomp).
"""
import ctypes
import os
import socket
import sys

ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW
ERRNO = 0x00050000  # SCMP_ACT_ERRNO(0)
EQ = 4  # SCMP_CMP_EQ
EPROTONOSUPPORT = 93


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def main():
    protocol, command = int(sys.argv[1]), sys.argv[2:]
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                           ctypes.POINTER(Compare)]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    number = lib.seccomp_syscall_resolve_name(b"socket")
    compared = (Compare * 2)(Compare(0, EQ, socket.AF_NETLINK, 0), Compare(2, EQ, protocol, 0))
    ctx = lib.seccomp_init(ALLOW)
    if not ctx or lib.seccomp_rule_add_array(ctx, ERRNO | EPROTONOSUPPORT, number, 2, compared) or lib.seccomp_load(ctx):
        sys.exit("without_netlink.py: the filter cannot be set")
    os.execvp(command[0], command)


main()
