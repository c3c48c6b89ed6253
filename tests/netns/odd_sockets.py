"""Sockets in states that a program can no longer reach by asking for them, by a program that knows nothing of nsimg.

odd_sockets.py make NAME...   make the sockets of these cases, print "ready PID", wait
odd_sockets.py numbers        of the sockets of case "group", who is which in its group
odd_sockets.py reached        of the sockets of case "files", who is behind which file
odd_sockets.py look [PID]     what they are, one a line: of a process, and through nsimg exec of the restored ones
"""
import ctypes, os, re, select, signal, socket, struct, subprocess, sys

INET, INET6, UNIX, PACKET = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_PACKET
STREAM, DGRAM, RAW = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
SOL, REUSEADDR, REUSEPORT, BROADCAST, DEVICE, IFINDEX = socket.SOL_SOCKET, 2, 15, 6, 25, 62
ROUTER_ALERT, TCP_MD5SIG = 5, 14
next_fd = 20


def put(s):
    """The socket at the next number from 20 on."""
    global next_fd
    os.dup2(s.fileno(), next_fd)
    next_fd += 1
    s.close()


def ip(*words):
    subprocess.run(['ip', *words], check=True)


def device(name):
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', name + 'p')
    ip('link', 'set', name, 'up')
    ip('link', 'set', name + 'p', 'up')


def with_device(name, fn):
    """What fn makes while there is a device of that name."""
    device(name)
    made = fn()
    ip('link', 'del', name)
    for s in made:
        put(s)


def sock(family, kind, proto=0, device=None, bind=None, listen=None, **options):
    s = socket.socket(family, kind, proto)
    for name, value in options.items():
        s.setsockopt(SOL, globals()[name], value)
    if device:
        s.setsockopt(SOL, DEVICE, device.encode())
    if bind:
        s.bind(bind)
    if listen is not None:
        s.listen(listen)
    return s


def clear(option, sockets):
    for s in sockets:
        s.setsockopt(SOL, option, 0)
        put(s)


def packet_gone():
    with_device('gone0', lambda: [
        sock(PACKET, RAW, 0, bind=('gone0', 0x88b5)),
        sock(PACKET, DGRAM, 0, bind=('gone0', 0x88b5))])


def device_gone():
    with_device('gone1', lambda: [
        sock(INET, DGRAM, device='gone1', bind=('0.0.0.0', 6001)),
        sock(INET, STREAM, device='gone1', bind=('0.0.0.0', 6001), listen=5),
        sock(INET6, DGRAM, device='gone1', bind=('::', 6002)),
        sock(INET, RAW, 253, device='gone1')])
    with_device('gone2', lambda: [sock(INET6, STREAM, device='gone2', bind=('::', 6003), listen=5)])


def reuse_gone():
    clear(REUSEPORT, [sock(INET, STREAM, bind=('127.0.0.1', 6101), listen=7, REUSEPORT=1) for _ in '12'])
    clear(REUSEPORT, [sock(INET6, STREAM, bind=('::1', 6102), listen=7, REUSEPORT=1) for _ in '123'])
    clear(REUSEPORT, [sock(INET, DGRAM, bind=('127.0.0.1', 6103), REUSEPORT=1) for _ in '12'])
    clear(REUSEADDR, [sock(INET, DGRAM, bind=('127.0.0.1', 6104), REUSEADDR=1) for _ in '12'])
    clear(REUSEADDR, [sock(INET, STREAM, bind=('127.0.0.1', 6105), REUSEADDR=1) for _ in '12'])
    clear(REUSEPORT, [sock(INET, STREAM, bind=('127.0.0.1', 6106), REUSEPORT=1) for _ in '12'])


def raw_connected():
    for family, addr in (INET, '127.0.0.1'), (INET6, '::1'):
        s = sock(family, RAW, 253)
        s.connect((addr, 0))
        put(s)
    s = sock(INET, DGRAM, bind=('127.0.0.1', 6201))
    s.connect(('127.0.0.1', 0))
    put(s)


def router_alert():
    s = sock(INET, RAW, 46)
    s.setsockopt(socket.IPPROTO_IP, ROUTER_ALERT, 1)
    put(s)
    s = sock(INET6, RAW, 255)
    s.setsockopt(41, 22, 5)
    put(s)


def corked():
    s = sock(INET, DGRAM)
    s.connect(('127.0.0.1', 6301))
    s.setsockopt(17, 1, 1)
    s.send(b'x' * 100)
    put(s)
    s = sock(INET, DGRAM)
    s.connect(('127.0.0.1', 6301))
    s.send(b'x' * 100, socket.MSG_MORE)
    put(s)


def pings():
    """Made by a group that the range of their namespace does not have any more."""
    subprocess.run(['sysctl', '-qw', 'net.ipv4.ping_group_range=0 9'], check=True)
    put(sock(INET, DGRAM, 1, bind=('127.0.0.1', 77)))
    put(sock(INET6, DGRAM, 58, bind=('::1', 78)))
    subprocess.run(['sysctl', '-qw', 'net.ipv4.ping_group_range=1000 2000'], check=True)


def upward():
    """A name that leads out of the folder in which it begins, which the program has left."""
    os.makedirs('/run/odd/d/e', exist_ok=True)
    os.chdir('/run/odd/d/e')
    put(sock(UNIX, STREAM, bind='../../up.sock', listen=3))
    os.chdir('/')


def netfilter():
    """A queue and a log group bound (nfnetlink_queue.h: config, attribute 1, command 1; nfnetlink_log.h: the same)."""
    for kind, res, attr in (3 << 8 | 2, 5, struct.pack('=HH', 8, 1) + struct.pack('>BBH', 1, 0, INET)), \
            (4 << 8 | 1, 7, struct.pack('=HH', 5, 1) + b'\1\0\0\0'):
        s = sock(socket.AF_NETLINK, RAW, 12, bind=(0, 0))
        body = struct.pack('=BBH', 0, 0, socket.htons(res)) + attr
        s.send(struct.pack('=IHHII', 16 + len(body), kind, 5, 1, 0) + body)
        assert struct.unpack('=i', s.recv(4096)[16:20]) == (0,)
        put(s)


def lowered():
    """What their namespace would not let them have any more."""
    put(sock(INET6, RAW, 58))
    s = sock(INET, DGRAM, bind=('0.0.0.0', 6501))
    for group in '239.1.1.1', '239.1.1.2':
        s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton('127.0.0.1'))
    put(s)
    s = sock(INET6, DGRAM, bind=('::', 6502))
    s.setsockopt(41, socket.IPV6_JOIN_GROUP, socket.inet_pton(INET6, 'ff02::77') + struct.pack('=I', 1))
    s.setsockopt(41, 59, bytes.fromhex('0000010400000000'))  # IPV6_DSTOPTS: PadN
    put(s)
    s = sock(INET, STREAM, bind=('127.0.0.1', 6503))
    s.setsockopt(6, 23, 9)  # TCP_FASTOPEN
    s.listen(8)
    put(s)
    for setting in ('net.ipv4.igmp_max_memberships=0', 'net.core.optmem_max=100', 'net.core.somaxconn=3',
                    'net.ipv6.bindv6only=1'):
        subprocess.run(['sysctl', '-qw', setting], check=True)
    put(sock(INET6, RAW, 89))


def to_outside():
    s = sock(UNIX, DGRAM)
    s.connect('/run/odd-log')
    put(s)
    s = sock(UNIX, DGRAM, bind='/run/odd-named')
    s.connect('/run/odd-log')
    put(s)


def no_header():
    """Of protocol 255 the kernel asks for the header itself."""
    for off in (0, 1):
        s = sock(INET, RAW, 255)
        s.setsockopt(0, 3, off)
        put(s)


def backlog():
    subprocess.run(['sysctl', '-qw', 'net.core.somaxconn=5000'], check=True)
    put(sock(INET, STREAM, bind=('127.0.0.1', 6401), listen=300))
    put(sock(UNIX, STREAM, bind='\0odd-backlog', listen=4400))
    subprocess.run(['sysctl', '-qw', 'net.core.somaxconn=100'], check=True)


def half_pair():
    for kind in (DGRAM, STREAM, socket.SOCK_SEQPACKET):
        a, b = socket.socketpair(UNIX, kind)
        b.close()
        put(a)
    s = sock(UNIX, DGRAM, bind='\0odd-half')
    c = sock(UNIX, DGRAM)
    c.connect('\0odd-half')
    s.close()
    put(c)


def route_gone():
    device('way0')
    ip('addr', 'add', '10.77.0.1/24', 'dev', 'way0')
    ip('addr', 'add', 'fd77::1/64', 'dev', 'way0', 'nodad')
    u = sock(INET, DGRAM)
    u.connect(('10.77.0.9', 6501))
    u6 = sock(INET6, DGRAM)
    u6.connect(('fd77::9', 6501))
    o6 = sock(INET6, DGRAM)
    o6.setsockopt(41, 26, 1)
    o6.connect(('fd77::9', 6502))
    b = sock(INET, DGRAM, BROADCAST=1)
    b.connect(('10.77.0.255', 6503))
    b.setsockopt(SOL, BROADCAST, 0)
    for s in u, u6, o6:
        put(s)
    l6 = sock(INET6, DGRAM)
    l6.connect(('::1', 6505))
    put(l6)
    ip('link', 'del', 'way0')
    device('way1')
    ip('addr', 'add', '10.78.0.1/24', 'brd', '+', 'dev', 'way1')
    put(b)
    b = sock(INET, DGRAM, BROADCAST=1)
    b.connect(('10.78.0.255', 6504))
    b.setsockopt(SOL, BROADCAST, 0)
    put(b)


def lost():
    """No sockets: what a namespace has besides."""
    for words in 'sr tunsrc set fd00::1', 'ioam namespace add 7 data 9', 'ioam schema add 8 text':
        subprocess.run(['ip', *words.split()])


def group():
    """SO_REUSEPORT: not bound in the order in which they were made; who gets what is chosen by number."""
    for family, addr in (INET, '127.0.0.1'), (INET6, '::1'):
        for kind in DGRAM, STREAM:
            made = [sock(family, kind, REUSEPORT=1) for _ in range(4)]
            for n in 2, 0, 3, 1:
                made[n].bind((addr, 6701))
                if kind == STREAM:
                    made[n].listen(5)
            for s in made:
                put(s)


def numbers():
    """Which socket is number 0, 1, ... of its group: a program that says the number, and who then gets it."""
    for family, addr, base in (INET, '127.0.0.1', 20), (INET6, '::1', 28):
        for kind, first in (DGRAM, base), (STREAM, base + 4):
            socks = [socket.socket(fileno=os.dup(fd)) for fd in range(first, first + 4)]
            for n in range(4):
                code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, n))
                socks[0].setsockopt(SOL, 51, struct.pack('HxxxxxxP', 1, ctypes.addressof(code)))
                with socket.socket(family, kind) as c:
                    c.connect((addr, 6701))
                    c.send(b'x')
                    ready = select.select(socks, [], [], 5)[0][0]
                    ready.recv(1) if kind == DGRAM else ready.accept()[0].close()
                    print(family.name, kind.name, n, 'is', first + socks.index(ready))


def many():
    device('many0')
    s = sock(PACKET, RAW, 0, bind=('many0', 0x88b5))
    index = socket.if_nametoindex('many0')
    for n in 1, 2, 3:
        s.setsockopt(263, 1, struct.pack('iHH8s', index, 0, 6, bytes([1, 0, 0x5e, 0, 0, n])))
    put(s)
    s = sock(INET, STREAM, bind=('127.0.0.1', 6601))
    for n in 1, 2:
        key = b'key%d' % n
        s.setsockopt(6, TCP_MD5SIG, struct.pack('HH4s120sBBHi80s', INET, 0, socket.inet_aton('10.0.0.%d' % n), b'', 0, 0,
                                                len(key), 0, key))
    s.listen(5)
    put(s)


FILES = '/run/odd'


def files():
    """Unix sockets whose file was renamed after bind, the first to make room for the second, or round; one whose path fills sun_path."""
    os.makedirs(FILES)
    os.chdir(FILES)
    a = sock(UNIX, STREAM, bind=FILES + '/a', listen=3)
    os.rename('a', 'b')
    put(a)
    put(sock(UNIX, STREAM, bind=FILES + '/a', listen=3))
    r = sock(UNIX, STREAM, bind='relative.tmp', listen=3)
    os.rename('relative.tmp', 'relative')
    put(r)
    d = sock(UNIX, DGRAM, bind=FILES + '/d.tmp')
    os.rename('d.tmp', 'd')
    c = sock(UNIX, DGRAM)
    c.connect(FILES + '/d')
    put(d)
    put(c)
    os.link('relative', 'link')
    put(sock(UNIX, STREAM, bind=FILES + '/two', listen=3))
    os.link('two', 'three')
    os.unlink('two')
    path = (FILES + '/').encode().ljust(108, b'y')
    long = sock(UNIX, STREAM)
    assert ctypes.CDLL(None).bind(long.fileno(), struct.pack('H', UNIX) + path, 110) == 0
    long.listen(3)
    put(long)
    # names that went round: each socket has the file of another one's name; and one that was there before them
    put(sock(UNIX, STREAM, bind=FILES + '/p', listen=3))
    os.rename('p', 'before')
    for name in 'pqr':
        put(sock(UNIX, STREAM, bind=FILES + '/' + name, listen=3))
    for old, new in ('p', 'x'), ('r', 'p'), ('q', 'r'), ('x', 'q'):
        os.rename(old, new)


def reached():
    socks = [socket.socket(fileno=os.dup(fd)) for fd in range(20, 31)]
    os.chdir(FILES)
    socks[4].send(b'x')
    print('the peer of 24 is', 20 + socks.index(select.select(socks[:4], [], [], 5)[0][0]), socks[3].recv(1))
    for name in sorted(os.listdir('.')):
        with socket.socket(UNIX, DGRAM if name == 'd' else STREAM) as c:
            if c.connect_ex('/proc/self/fd/%d' % os.open(name, os.O_PATH)):
                continue  # nobody's
            if name == 'd':
                c.send(b'x')
            ready = select.select(socks[:4] + socks[6:], [], [], 5)[0][0]
            ready.recv(1) if name == 'd' else ready.accept()
            print(name[:10], 'is', 20 + socks.index(ready))


def others():
    """Options and states of families that have them too."""
    s = sock(INET6, DGRAM)
    s.setsockopt(0, 25, 1)  # IP_RECVFRAGSIZE
    put(s)
    for family in INET, INET6:
        s = sock(family, DGRAM, 136)  # UDP-Lite
        for option in 101, 102, 104:  # UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX, UDP_GRO
            s.setsockopt(17, option, 1)
        put(s)
    for family, kind in (socket.AF_NETLINK, RAW), (PACKET, RAW), (UNIX, DGRAM), (UNIX, STREAM):
        s = sock(family, kind)
        s.setsockopt(SOL, IFINDEX, 77)
        put(s)
    s = sock(socket.AF_NETLINK, RAW, 9, bind=(0, 1))  # NETLINK_AUDIT, for CAP_AUDIT_READ alone
    put(s)
    s = sock(socket.AF_NETLINK, RAW)
    for g in 1, 33:
        s.setsockopt(270, 1, g)  # NETLINK_ADD_MEMBERSHIP, and no port id
    put(s)
    s = sock(socket.AF_NETLINK, DGRAM, 16, bind=(4242, 0))
    s.connect((0, 0))
    put(s)
    s = sock(INET6, RAW, 58)
    s.connect(('::ffff:127.0.0.1', 5))
    put(s)
    s = sock(INET, DGRAM, bind=('127.0.0.1', 0))
    ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16)  # AF_UNSPEC: its port is gone, its address is not
    put(s)
    ip('addr', 'add', 'fd79::1/128', 'dev', 'lo', 'nodad')
    s = sock(INET6, DGRAM)
    s.connect(('fd79::1', 6801))
    s.connect(('::ffff:127.0.0.1', 6801))
    put(s)
    for info, lease in (0x12345, True), (0x0ab00000, False), (0x54321, False):
        s = sock(INET6, DGRAM)
        if lease:  # struct in6_flowlabel_req: get, shared by all, create; expires, linger
            s.setsockopt(41, 32, struct.pack('!16sIBB', socket.inet_pton(INET6, 'fd79::1'), info, 0, 255) +
                         struct.pack('HHHI', 1, 60, 60, 0))
        s.setsockopt(41, 33, 1)  # IPV6_FLOWINFO_SEND
        to = struct.pack('=H', INET6) + struct.pack('!HI16sI', 6802, info, socket.inet_pton(INET6, 'fd79::1'), 0)
        assert ctypes.CDLL(None).connect(s.fileno(), to, len(to)) == 0
        put(s)
    s = sock(PACKET, RAW, 0, bind=('lo', 0x88b5))
    s.setsockopt(263, 18, 0)  # PACKET_FANOUT: group 0
    put(s)
    s = sock(PACKET, RAW, 0, bind=('lo', 0x88b5))
    s.setsockopt(263, 18, 5 | 6 << 16)  # group 5, PACKET_FANOUT_CBPF
    put(s)


def make(*names):
    for name in names:
        globals()[name]()
    os.closerange(3, 20)
    print('ready', os.getpid(), flush=True)
    signal.pause()


def take(pid):
    """Descriptors 20 and up of a process, and its network namespace."""
    libc = ctypes.CDLL(None)
    pidfd = os.dup2(libc.syscall(434, int(pid), 0), 200)
    for fd in range(20, 100):
        got = libc.syscall(438, pidfd, fd, 0)
        if got >= 0 and got != fd:
            os.dup2(got, fd)
            os.close(got)
    libc.setns(pidfd, 0x40000000)


def words(fd, tables):
    """What ss and /proc/net/raw say of it, without numbers that come anew."""
    for line in tables:
        fields = line.split()[5:6] if line[:2] == 'u_' else re.findall(r'\d+', line)  # of a unix one also the peer's is there
        if str(os.fstat(fd).st_ino) in fields:
            line = re.sub(r'(ino|dev):\S+|(?<=\*) \d+', '', line) if line[:2] == 'u_' else line
            return re.sub(r'(ino:)?\b%d\b|(sk|cgroup|timer|uid):\S+' % os.fstat(fd).st_ino, '', line).split()[:4 if line[:3] == 'raw' else 12]
    return ['in no table']


def look(pid=None):
    if pid:
        take(pid)
    tables = subprocess.run(['ss', '-anHeO'], capture_output=True, text=True).stdout.splitlines()
    for path in '/proc/net/raw', '/proc/net/raw6':
        tables += [re.sub(r'^ *\d+:', path[10:], line) for line in open(path)]
    for fd in range(20, 100):
        try:
            s = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        try:
            peer = s.getpeername()
        except OSError as e:
            peer = e.strerror
        facts = [s.getsockname()[:5], 'peer', peer]
        for name in 'REUSEADDR', 'REUSEPORT', 'BROADCAST', 'IFINDEX':
            facts += [name, s.getsockopt(SOL, globals()[name])]
        if s.family == INET and s.type == RAW:
            facts += ['router alert', s.getsockopt(0, ROUTER_ALERT)]
        for level, option in (0, 25), (17, 101), (17, 102), (17, 104):
            try:
                facts += [level, option, s.getsockopt(level, option)]
            except OSError:
                pass
        if s.family == INET6:
            facts += ['v6only', s.getsockopt(41, 26)]
        print(fd, *words(fd, tables), *facts, 'error', s.getsockopt(SOL, socket.SO_ERROR))


globals()[sys.argv[1]](*sys.argv[2:])
