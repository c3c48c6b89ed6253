"""pbwire.py: protobuf messages as bytes, without their descriptors (for tests in Python)."""


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def read_varint(b, at):
    n = shift = 0
    while True:
        n |= (b[at] & 127) << shift
        shift += 7
        at += 1
        if b[at - 1] < 128:
            return n, at


def fields(msg):
    """(number, wire type, value, the bytes of all of it)"""
    at = 0
    while at < len(msg):
        start = at
        key, at = read_varint(msg, at)
        kind = key & 7
        if kind == 0:
            value, at = read_varint(msg, at)
        elif kind == 2:
            n, at = read_varint(msg, at)
            value, at = msg[at:at + n], at + n
        else:
            n = {1: 8, 5: 4}[kind]
            value, at = msg[at:at + n], at + n
        yield key >> 3, kind, value, msg[start:at]


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value
