#!/usr/bin/env python3
"""What the kernel says of some tasks and their namespaces, by tools that are not nsimg.

  snapshot.py take NAME=PID... > FILE      facts as JSON
  snapshot.py diff BEFORE AFTER            differences, one a line; exit status 1 when there are any

Facts: ip, bridge, nft, sysctl, ss inside each namespace; for each socket every option that getsockopt gives
(all numbers of all levels, tried), names, peers, on a duplicate taken with pidfd_getfd. What differs by
nature is left out by the list VOLATILE below, which is the list of doc/volatile.md.
"""
import ctypes, fcntl, json, os, re, socket, struct, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
SYS_pidfd_open, SYS_pidfd_getfd = 434, 438
SIOCGSKNS = 0x894C

LEVELS = {
    'SOCKET': (1, 90), 'IP': (0, 60), 'IPV6': (41, 90), 'TCP': (6, 50), 'UDP': (17, 110), 'NETLINK': (270, 16),
    'PACKET': (263, 30), 'RAW': (255, 5), 'ICMPV6': (58, 5),
}
# (level, option): why it differs by nature
VOLATILE_OPTIONS = {
    ('SOCKET', 4): 'SO_ERROR is cleared by reading', ('SOCKET', 17): 'SO_PEERCRED is the pid of another',
    ('SOCKET', 26): 'SO_GET_FILTER is compared by its length only', ('SOCKET', 49): 'SO_INCOMING_CPU',
    ('SOCKET', 55): 'SO_MEMINFO counts', ('SOCKET', 56): 'SO_INCOMING_NAPI_ID', ('SOCKET', 57): 'SO_COOKIE',
    ('SOCKET', 59): 'SO_PEERGROUPS of another task', ('SOCKET', 71): 'SO_NETNS_COOKIE',
    ('SOCKET', 77): 'SO_PEERPIDFD is a descriptor', ('SOCKET', 31): 'SO_PEERSEC',
    ('TCP', 11): 'TCP_INFO counts', ('TCP', 26): 'TCP_CC_INFO', ('TCP', 35): 'TCP_ZEROCOPY_RECEIVE acts',
    ('TCP', 24): 'TCP_TIMESTAMP is a clock', ('TCP', 28): 'TCP_SAVED_SYN', ('PACKET', 6): 'PACKET_STATISTICS counts',
    ('PACKET', 23): 'PACKET_ROLLOVER_STATS counts', ('IP', 14): 'IP_MTU of a connected socket is a cache',
    ('IPV6', 24): 'IPV6_MTU of a connected socket is a cache',
}
VOLATILE_SYSCTL = re.compile(
    r'stable_secret|random|fib_sync_mem|tcp_mem|udp_mem|nf_conntrack_(count|max|buckets)|netdev_rss_key|'
    r'core/(flow_limit|bpf_jit)|neigh/.*/(gc_|unres_qlen$)|tcp_fastopen_key|fib_multipath_hash_seed')
VOLATILE_KEYS = {
    'stats', 'stats64', 'ifi_flags', 'valid_life_time', 'preferred_life_time', 'used', 'probes', 'refcnt',
    'hello_timer', 'tcn_timer', 'topology_change_timer', 'gc_timer', 'hold_timer', 'message_age_timer',
    'forward_delay_timer', 'expires', 'direct_packets_stat', 'bridge_id', 'root_id', 'handle', 'updated', 'carrier_changes', 'carrier_up_count',
    'carrier_down_count', 'multicast_router_timer', 'topology_change', 'state_bits',
}


def run(ns, *cmd):
    p = subprocess.run(['nsenter', '--net=' + ns, '--'] + list(cmd), capture_output=True, text=True)
    return p.stdout


def clean(x):
    if isinstance(x, dict):
        return {k: clean(v) for k, v in x.items() if k not in VOLATILE_KEYS}
    if isinstance(x, list):
        return [clean(v) for v in x]
    return x


def ip(ns, *args):
    try:
        return clean(json.loads(run(ns, *args) or '[]'))
    except json.JSONDecodeError:
        return 'unreadable: ' + ' '.join(args)


def sysctls(ns):
    # /proc/sys/net shows the namespace of who reads: read it from inside
    code = ("import os,sys\n"
            "for d,_,fs in os.walk('/proc/sys/net'):\n"
            "  for f in fs:\n"
            "    p=os.path.join(d,f)\n"
            "    if not os.stat(p).st_mode & 0o200: continue\n"
            "    try: print(p[14:]+'='+open(p,errors='replace').read().rstrip('\\n').replace('\\n','|'))\n"
            "    except OSError: pass\n")
    out = run(ns, sys.executable, '-c', code)
    return {l.split('=', 1)[0]: l.split('=', 1)[1] for l in out.splitlines()
            if '=' in l and not VOLATILE_SYSCTL.search(l.split('=', 1)[0])}


def learned(n):
    """Neighbours and fdb entries that the kernel learned by itself."""
    state = n.get('state', [])
    state = state if isinstance(state, list) else [state]
    return 'PERMANENT' not in state and n.get('state') not in ('permanent', 'static')


# kinds that a device has by itself
PLAIN_QDISC = ('noqueue', 'noop', 'mq', 'pfifo_fast', 'fq_codel')


def filters(ns, qdiscs):
    """Classes and filters of the devices that somebody gave a queueing discipline."""
    devices = sorted({q['dev'] for q in qdiscs if q.get('kind') not in PLAIN_QDISC and 'dev' in q})
    return [line for d in devices for what in (('class', 'show', 'dev', d), ('filter', 'show', 'dev', d),
                                               ('filter', 'show', 'dev', d, 'ingress'),
                                               ('filter', 'show', 'dev', d, 'egress'))
            for line in run(ns, 'tc', *what).splitlines()]


def namespace(ns):
    f = {
        'link': {l['ifname']: l for l in ip(ns, 'ip', '-d', '-j', 'link')},
        'addr': ip(ns, 'ip', '-d', '-j', 'addr'),
        'route4': ip(ns, 'ip', '-d', '-j', 'route', 'show', 'table', 'all'),
        'route6': ip(ns, 'ip', '-6', '-d', '-j', 'route', 'show', 'table', 'all'),
        'rule4': ip(ns, 'ip', '-d', '-j', 'rule'),
        'rule6': ip(ns, 'ip', '-6', '-d', '-j', 'rule'),
        'nexthop': ip(ns, 'ip', '-d', '-j', 'nexthop'),
        'neigh': [n for n in ip(ns, 'ip', '-j', 'neigh', 'show', 'nud', 'all') if not learned(n)],
        'proxy': ip(ns, 'ip', '-j', 'neigh', 'show', 'proxy'),
        'fdb': [n for n in ip(ns, 'bridge', '-d', '-j', 'fdb', 'show') if not learned(n)],
        'vlan': ip(ns, 'bridge', '-j', 'vlan', 'show'),
        'vni': ip(ns, 'bridge', '-j', 'vni', 'show'),
        'port': ip(ns, 'bridge', '-d', '-j', 'link', 'show'),
        'tc': ip(ns, 'tc', '-j', 'qdisc', 'show'),
        'action': run(ns, 'tc', 'actions', 'list', 'action', 'mirred').splitlines(),
        # what is "temp" was learned from reports of listeners
        'mdb': [m for all in ip(ns, 'bridge', '-d', '-j', 'mdb', 'show') for m in all.get('mdb', [])
                if m.get('state') != 'temp'],
        'label': ip(ns, 'ip', '-j', 'addrlabel'),
        'maddr': ip(ns, 'ip', '-j', 'maddress'),
        'token': ip(ns, 'ip', '-j', 'token'),
        'xfrm': run(ns, 'ip', '-d', 'xfrm', 'policy').splitlines(),
        'mptcp': [ip(ns, 'ip', '-j', 'mptcp', 'endpoint', 'show'), run(ns, 'ip', 'mptcp', 'limits', 'show')],
        'nft': run(ns, 'nft', 'list', 'ruleset').splitlines(),
        'sysctl': sysctls(ns),
        'ss': sorted(re.sub(r'\s+', ' ', l) for l in run(ns, 'ss', '-Hanutw').splitlines()),
    }
    f['filter'] = filters(ns, f['tc'])
    for d in f['maddr']:  # the order is that of joining
        d['maddr'] = sorted(d['maddr'], key=lambda m: json.dumps(m, sort_keys=True))
    for l in f['link'].values():
        l.pop('operstate', None)
        # the carrier bits come and go by themselves a moment after a device is up
        l['flags'] = [x for x in l.get('flags', []) if x not in ('LOWER_UP', 'NO-CARRIER')]
        # and with it the state of a bridge's port
        l.get('linkinfo', {}).get('info_slave_data', {}).pop('state', None)
    for p in f['port']:
        for k in ('flags', 'state', 'operstate'):
            p.pop(k, None)
    for a in f['addr']:
        for k in list(a):
            if k not in ('ifindex', 'ifname', 'addr_info'):
                del a[k]
    # a route says "linkdown" when its device has no carrier
    for r in f['route4'] + f['route6']:
        r['flags'] = [x for x in r.get('flags', []) if x != 'linkdown']
        for hop in r.get('nexthops', []):
            hop['flags'] = [x for x in hop.get('flags', []) if x != 'linkdown']
    for kind in ('addr', 'route4', 'route6', 'rule4', 'rule6', 'neigh', 'fdb', 'nexthop', 'proxy', 'tc', 'port', 'vlan',
                 'mdb', 'label'):
        if isinstance(f[kind], list):
            f[kind] = sorted((json.dumps(x, sort_keys=True) for x in f[kind]))
    return f


def pidfd_getfd(pid, fd):
    p = libc.syscall(SYS_pidfd_open, pid, 0)
    if p < 0:
        raise OSError(ctypes.get_errno(), 'pidfd_open')
    d = libc.syscall(SYS_pidfd_getfd, p, fd, 0)
    os.close(p)
    if d < 0:
        raise OSError(ctypes.get_errno(), 'pidfd_getfd')
    return d


def addr_of(fn, fd):
    buf = ctypes.create_string_buffer(256)
    n = ctypes.c_uint(256)
    if fn(fd, buf, ctypes.byref(n)):
        return None
    raw = buf.raw[:n.value]
    fam = struct.unpack('H', raw[:2])[0] if n.value >= 2 else 0
    if fam == socket.AF_PACKET:
        raw = raw[:8]          # protocol and ifindex; the rest is the hardware address of the device
    if fam == socket.AF_NETLINK:
        raw = raw[:4] + raw[8:]  # the port id is the kernel's choice
    return raw.hex()


def socket_facts(fd):
    f = {'local': addr_of(libc.getsockname, fd), 'peer': addr_of(libc.getpeername, fd), 'opt': {},
         'flags': fcntl.fcntl(fd, fcntl.F_GETFL)}
    for lname, (level, top) in LEVELS.items():
        for name in range(1, top):
            if (lname, name) in VOLATILE_OPTIONS:
                continue
            buf = ctypes.create_string_buffer(256)
            n = ctypes.c_uint(256)
            if libc.getsockopt(fd, level, name, buf, ctypes.byref(n)) == 0:
                f['opt']['%s.%d' % (lname, name)] = buf.raw[:n.value].hex()
    n = ctypes.c_uint(0)
    if libc.getsockopt(fd, 1, 26, None, ctypes.byref(n)) == 0 and n.value:
        f['filter_len'] = n.value
    return f


def take(args):
    out, ns_path, ns_label, keep = {'task': {}, 'ns': {}}, {}, {}, []
    tasks = [a.split('=') for a in args]
    for name, pid in tasks:
        ino = os.stat('/proc/%s/ns/net' % pid).st_ino
        ns_label.setdefault(ino, name)
        ns_path.setdefault(ino, '/proc/%s/ns/net' % pid)
    for name, pid in tasks:
        t = out['task'][name] = {'netns': ns_label[os.stat('/proc/%s/ns/net' % pid).st_ino], 'fd': {}}
        seen = {}
        for fd in sorted(map(int, os.listdir('/proc/%s/fd' % pid))):
            link = os.readlink('/proc/%s/fd/%d' % (pid, fd))
            if link.startswith('net:['):
                t['fd'][fd] = {'nsfd': True}
            if not link.startswith('socket:['):
                continue
            d = pidfd_getfd(int(pid), fd)
            s = socket_facts(d)
            flags = open('/proc/%s/fdinfo/%d' % (pid, fd)).read()
            s['cloexec'] = bool(int(re.search(r'flags:\s*(\d+)', flags).group(1), 8) & os.O_CLOEXEC)
            try:
                nsfd = fcntl.ioctl(d, SIOCGSKNS)
                ino = os.fstat(nsfd).st_ino
                if ino not in ns_label:
                    ns_label[ino] = '%s:%d' % (name, fd)
                    ns_path[ino] = '/proc/%d/fd/%d' % (os.getpid(), nsfd)
                    keep.append(nsfd)
                s['netns'] = ns_label[ino]
            except OSError:
                s['netns'] = None
            s['same_as'] = seen.setdefault(link, '%s:%d' % (name, fd))
            t['fd'][fd] = s
            os.close(d)
    for ino, label in ns_label.items():
        out['ns'][label] = namespace(ns_path[ino])
    json.dump(out, sys.stdout, indent=1, sort_keys=True)


def diff(a, b, path, out):
    if isinstance(a, dict) and isinstance(b, dict):
        for k in sorted(set(a) | set(b)):
            if k not in a:
                out.append('%s/%s: new %s' % (path, k, json.dumps(b[k])))
            elif k not in b:
                out.append('%s/%s: lost %s' % (path, k, json.dumps(a[k])))
            else:
                diff(a[k], b[k], path + '/' + k, out)
    elif isinstance(a, list) and isinstance(b, list):
        for x in a:
            if x not in b:
                out.append('%s: lost %s' % (path, x if isinstance(x, str) else json.dumps(x)))
        for x in b:
            if x not in a:
                out.append('%s: new %s' % (path, x if isinstance(x, str) else json.dumps(x)))
    elif a != b:
        out.append('%s: %s became %s' % (path, json.dumps(a), json.dumps(b)))


if __name__ == '__main__':
    if sys.argv[1:2] == ['take']:
        take(sys.argv[2:])
    elif sys.argv[1:2] == ['diff'] and len(sys.argv) == 4:
        lines = []
        diff(json.load(open(sys.argv[2])), json.load(open(sys.argv[3])), '', lines)
        print('\n'.join(lines), end='\n' if lines else '')
        sys.exit(1 if lines else 0)
    else:
        sys.exit(__doc__)
