"""Sockets for the tests of tasks, by a program that knows nothing of nsimg.

sockets.py make        make sockets that mkstate has no words for, print "ready", wait
sockets.py look        what they are, one fact a line: run before the dump and, through nsimg exec, after
sockets.py owner       who gets the signals of descriptor 20; and send it something, so that there is one
sockets.py reach NAME  can a unix stream socket connect to the abstract NAME here? prints yes or no
sockets.py answer FD   accept once on FD, send back what comes in capitals
sockets.py talk ADDR PORT TEXT   connect, send TEXT, print the answer
"""
import fcntl, os, signal, socket, struct, sys

F_SETOWN_EX, F_GETOWN_EX, F_SETSIG, F_GETSIG = 15, 16, 10, 11
SOL_PACKET, RX_RING, ADD_MEMBERSHIP, FANOUT, VERSION = 263, 5, 1, 18, 10


def make():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(('127.0.0.1', 5001))
    fcntl.fcntl(u, F_SETOWN_EX, struct.pack('ii', 1, os.getpid()))
    fcntl.fcntl(u, F_SETSIG, signal.SIGRTMIN + 2)
    fcntl.fcntl(u, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.dup2(u.fileno(), 20)
    r = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    r.setsockopt(SOL_PACKET, VERSION, 1)
    r.setsockopt(SOL_PACKET, RX_RING, struct.pack('IIII', 4096, 4, 2048, 8))
    r.bind(('lo', 3))
    os.dup2(r.fileno(), 21)
    for n in (22, 23):
        f = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        f.bind(('lo', 0x0806))
        f.setsockopt(SOL_PACKET, FANOUT, 77 | 1 << 16)
        os.dup2(f.fileno(), n)
    n = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 2)
    n.bind((4711, 0))
    n.connect((0, 4))
    os.dup2(n.fileno(), 24)
    # only sources in a group
    m = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    m.bind(('0.0.0.0', 5002))
    group = lambda a: struct.pack('HHI', socket.AF_INET, 0, struct.unpack('=I', socket.inet_aton(a))[0]) + bytes(120)
    m.setsockopt(socket.IPPROTO_IP, 46, struct.pack('Ixxxx', 1) + group('232.1.1.1') + group('10.0.0.7'))
    os.dup2(m.fileno(), 25)
    p = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    p.bind(('127.0.0.1', 99))
    os.dup2(p.fileno(), 26)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.0.0.1', 5003))
    s.connect(('127.0.0.1', 5001))
    s.shutdown(socket.SHUT_WR)
    os.dup2(s.fileno(), 27)
    for x in (u, r, f, n, m, p, s):
        x.close()
    os.closerange(3, 20)
    print('ready', os.getpid(), flush=True)
    signal.pause()


def opt(fd, level, name, size=256):
    s = socket.socket(fileno=os.dup(fd))
    try:
        return s.getsockopt(level, name, size).hex()
    except OSError as e:
        return e.strerror


def look():
    print('owner is me', struct.unpack('ii', fcntl.fcntl(20, F_GETOWN_EX, bytes(8)))[0],
          'signal', fcntl.fcntl(20, F_GETSIG) - signal.SIGRTMIN)
    for fd in range(20, 28):
        s = socket.socket(fileno=os.dup(fd))
        print(fd, s.family.name, s.type, s.getsockname(), oct(fcntl.fcntl(fd, fcntl.F_GETFL)))
    print('ring version', opt(21, SOL_PACKET, VERSION), 'fanout', opt(22, SOL_PACKET, FANOUT), opt(23, SOL_PACKET, FANOUT))
    print('netlink peer', socket.socket(fileno=os.dup(24)).getpeername())
    try:
        socket.socket(fileno=os.dup(27)).send(b'x')
        print('can send')
    except BrokenPipeError:
        print('send side is shut')
    for path in ('/proc/net/igmp', '/proc/net/mcfilter', '/proc/net/packet'):
        for line in open(path).read().splitlines():
            words = line.split()
            if path.endswith('packet'):   # type, protocol, device, running: not addresses, counts, inodes
                words = words[2:6]
            if path.endswith('igmp'):
                words = words[:2] if len(words) < 6 else []
            print(path[10:], *words)


def owner():
    print(struct.unpack('ii', fcntl.fcntl(20, F_GETOWN_EX, bytes(8)))[1])
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 5001))


def reach(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        s.connect('\0' + name)
        print('yes')
    except OSError:
        print('no')


def answer(fd):
    c, _ = socket.socket(fileno=int(fd)).accept()
    c.sendall(c.recv(100).upper())


def talk(addr, port, text):
    with socket.create_connection((addr, int(port)), timeout=30) as s:
        s.sendall(text.encode())
        print(s.recv(100).decode())


globals()[sys.argv[1]](*sys.argv[2:])
