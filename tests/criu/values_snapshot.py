"""snapshot.json, what the kernel itself said (through ip, ss, nft and getsockopt) before CRIU dumped it, with the rows.

Namespaces there have numbers of their own; tasks tell which is which. Left out is what CRIU's images do not hold
(IPv6 rules, routes of tables other than main, most sysctls), and what follows the carrier.
"""
import collections, json, re, struct

OPTIONS = {'SO_REUSEADDR': 'reuseaddr', 'SO_REUSEPORT': 'so_reuseport', 'SO_KEEPALIVE': 'so_keepalive',
           'SO_BROADCAST': 'so_broadcast', 'SO_SNDBUF': 'so_sndbuf', 'SO_RCVBUF': 'so_rcvbuf',
           'SO_PRIORITY': 'so_priority', 'SO_MARK': 'so_mark', 'SO_RCVLOWAT': 'so_rcvlowat',
           'SO_DONTROUTE': 'so_dontroute', 'SO_NO_CHECK': 'so_no_check', 'SO_OOBINLINE': 'so_oobinline',
           'SO_BUF_LOCK': 'so_buf_lock', 'IP_TOS': 'tos', 'IP_FREEBIND': 'freebind', 'IP_NODEFRAG': 'nodefrag',
           'IPV6_V6ONLY': 'v6only', 'TCP_NODELAY': 'nodelay', 'TCP_CORK': 'cork', 'TCP_KEEPIDLE': 'keepidle',
           'TCP_KEEPINTVL': 'keepintvl', 'TCP_KEEPCNT': 'keepcnt'}
FLAGS = {'UP': 1, 'BROADCAST': 2, 'LOOPBACK': 8, 'POINTOPOINT': 0x10, 'NOARP': 0x80, 'PROMISC': 0x100,
         'ALLMULTI': 0x200, 'MULTICAST': 0x1000}
SCOPES = {'host': 254, 'link': 253, 'global': 0}
TYPES = {'unicast': 1, 'local': 2, 'broadcast': 3, 'anycast': 4, 'multicast': 5, 'blackhole': 6, 'unreachable': 7,
         'prohibit': 8, 'throw': 9}
PROTOCOLS = {'kernel': 2, 'boot': 3, 'static': 4, 'ra': 9}
TABLES = {'main': 254, 'local': 255, 'default': 253}


def split_route(line, family):
    """One line of ip route as columns; those that ip does not print have the value for which it prints none."""
    words = line.split()
    kind = TYPES[words.pop(0)] if words[0] in TYPES else 1
    out = {'type': kind, 'dst': words[0], 'gateway': None, 'dev': None, 'protocol': 3, 'scope': 0, 'prefsrc': None,
           'priority': None, 'mtu': None}
    read = {'via': ('gateway', str), 'dev': ('dev', str), 'proto': ('protocol', lambda w: PROTOCOLS.get(w) or int(w)),
            'scope': ('scope', SCOPES.get), 'src': ('prefsrc', str), 'metric': ('priority', int), 'mtu': ('mtu', int)}
    for word, value in zip(words[1:], words[2:]):
        if word == 'nexthop':
            break
        if word in read:
            key, convert = read[word]
            out[key] = convert(value)
    if family == 10 and not out['priority']:
        out['priority'] = None
    return tuple(out.values())


class Snapshot:
    def __init__(self, report, db, image, snapshot):
        self.r, self.db, self.image, self.snapshot = report, db, image, snapshot
        self.netns = {}

    def rows(self, query, *values):
        return self.db.execute(query, values).fetchall()

    def tasks(self):
        for p in self.snapshot['procs']:
            row = self.db.execute('SELECT * FROM task WHERE image = ? AND pid = ?', (self.image, p['pid'])).fetchone()
            self.r.same(f'task {p["pid"]}', row is not None, True)
            if row:
                self.r.same(f'namespace of task {p["pid"]}', row['netns'],
                            self.netns.setdefault(p['netns'], row['netns']))
                fds = self.rows('SELECT fd FROM fd WHERE image = ? AND files_id = ? ORDER BY fd', self.image,
                                row['files_id'])
                self.r.same(f'descriptors of task {p["pid"]}', [f[0] for f in fds], sorted(f[0] for f in p['fds']))

    def sockets(self):
        for sk in self.snapshot['sockets']:
            what = f'pid {sk["pid"]} fd {sk["fd"]}'
            row = self.db.execute(
                'SELECT s.*, s.id AS sk, i.*, u.name, n.portid, n.groups, k.ifindex, t.inq_len AS tcp_in FROM '
                'socket_owner o JOIN socket s ON s.id = o.socket LEFT JOIN inet_socket i ON i.socket = s.id LEFT JOIN '
                'unix_socket u ON u.socket = s.id LEFT JOIN netlink_socket n ON n.socket = s.id LEFT JOIN packet_socket '
                'k ON k.socket = s.id LEFT JOIN tcp_stream t ON t.image = s.image AND t.ino = s.ino WHERE s.image = ? '
                'AND o.pid = ? AND o.fd = ?', (self.image, sk['pid'], sk['fd'])).fetchone()
            self.r.same(what, row is not None, True)
            if row:
                self.socket(what, row, sk)

    def socket(self, what, row, sk):
        for column in ('family', 'type') + (('flags',) if sk['family'] != 16 else ()):
            self.r.same(f'{what} {column}', row[column], sk[column])
        if sk['family'] in (2, 10, 16):
            self.r.same(f'{what} protocol', row['protocol'], sk['proto'])
        if sk.get('netns') in self.netns:
            self.r.same(f'{what} namespace', row['netns'], self.netns[sk['netns']])
        for column in ('local', 'peer'):
            if sk.get(column) and not (column == 'peer' and sk['family'] != 2 and sk['family'] != 10):
                self.r.same(f'{what} {column}', *self.ends(row, sk, column))
        if row['tcp_in'] is not None and 'inq' in sk and row['state'] == 1:
            self.r.same(f'{what} bytes to read', row['tcp_in'], sk['inq'])
        if sk.get('filter_insns'):
            self.r.same(f'{what} filter', len(row['so_filter']) // 8, sk['filter_insns'])
        for option, column in OPTIONS.items():
            if row[column] is not None and isinstance(sk.get('opts', {}).get(option), int):
                self.r.same(f'{what} {option}', row[column], sk['opts'][option])
        if isinstance(sk['opts'].get('SO_BINDTODEVICE'), str):
            self.r.same(f'{what} device', row['so_bound_dev'] or '',
                        bytes.fromhex(sk['opts']['SO_BINDTODEVICE']).split(b'\0')[0].decode())

    @staticmethod
    def ends(row, sk, column):
        """(ours, theirs)"""
        text = sk[column]
        if sk['family'] in (2, 10):
            address, port = row['src' if column == 'local' else 'dst'], row[
                'src_port' if column == 'local' else 'dst_port']
            return f'{address}:{port}', re.sub(r'%\d+$', '', text.replace('[', '').replace(']', ''))
        if sk['family'] == 1:
            return row['name'].replace('\\x00', '@'), text
        b = bytes.fromhex(text)
        if sk['family'] == 16:
            groups = json.loads(row['groups'])
            return (row['portid'], groups[0] if groups else 0), struct.unpack('<II', b[2:10])
        # the argument of socket(2), which for these sockets is in network order; SOCK_PACKET tells no address
        ours = struct.unpack('>H', struct.pack('=H', row['protocol']))[0], row['ifindex']
        return ours, ours if row['type'] == 10 else struct.unpack('>H', b[:2]) + struct.unpack('<I', b[2:6])

    def namespaces(self):
        for i, ns in enumerate(self.snapshot['netns']):
            netns = self.netns.get(i)
            if netns is None or self.rows('SELECT 1 FROM netns WHERE id = ? AND external', netns):
                continue
            what = f'netns {i}'
            self.links(what, netns, ns)
            self.routes(what, netns, ns)
            self.rulesets(what, netns, ns)
            for line in ns['sysctl']:
                name, _, value = line.partition(' ')
                for row in self.rows('SELECT value FROM sysctl WHERE netns = ? AND name = ?', netns, 'net/' + name):
                    self.r.same(f'{what} {name}', row[0].replace(r'\x09', ' '), value)

    def links(self, what, netns, ns):
        theirs = {e['ifindex']: e for e in ns['link']}
        names = {e['ifname']: e['ifindex'] for e in ns['link']}
        rows = {r['ifindex']: r for r in self.rows('SELECT * FROM device WHERE netns = ?', netns)}
        self.r.same(what + ' links', sorted(rows), sorted(theirs))
        for index in rows.keys() & theirs.keys():
            row, e = rows[index], theirs[index]
            name = f'{what} {e["ifname"]}'
            kind = e.get('linkinfo', {}).get('info_kind') or ('loopback' if e['link_type'] == 'loopback' else None)
            lower = e.get('link_index') or names.get(e.get('link'))
            self.r.same(name, (row['name'], row['mtu'], row['kind'], row['master']),
                        (e['ifname'], e['mtu'], kind, names.get(e.get('master'))))
            if lower and kind == 'veth':
                self.r.same(name + ' peer', row['link'], lower)
            if e.get('address') and kind != 'loopback':
                self.r.same(name + ' address', row['address'], e['address'])
            self.r.same(name + ' flags', {f for f, n in FLAGS.items() if row['flags'] & n}, set(e['flags']) & set(FLAGS))
        ours = sorted([r[0], r[1], r[2], r[3]] for r in self.rows(
            'SELECT d.name, a.address, a.prefixlen, a.scope FROM address a JOIN device d ON d.netns = a.netns AND '
            'd.ifindex = a.ifindex WHERE a.netns = ?', netns))
        self.r.same(what + ' addresses', ours, sorted([*e[:3], SCOPES[e[3]]] for e in ns['addr']))

    def routes(self, what, netns, ns):
        for family, key in ((2, 'route4'), (10, 'route6')):
            theirs = collections.Counter(split_route(line, family) for line in ns[key] if
                                         ' table ' not in line and not line.startswith(('nexthop', '\t')))
            ours = collections.Counter()
            for r in self.rows('SELECT r.*, d.name AS dev FROM route r LEFT JOIN device d ON d.netns = r.netns AND '
                               'd.ifindex = r.oif WHERE r.netns = ? AND r.family = ? AND r."table" = 254', netns, family):
                scope = r['scope'] if family == 2 and not r['multipath'] and r['type'] == 1 else 0
                gateway = r['gateway']
                ours[(r['type'], r['dst'], gateway, r['dev'], r['protocol'], scope, r['prefsrc'],
                      r['priority'] or None, json.loads(r['metrics'] or '{}').get('mtu'))] += 1
            self.r.same(f'{what} {key} lost', list((theirs - ours).elements()), [])
            self.r.same(f'{what} {key} new', list((ours - theirs).elements()), [])
        theirs = []
        for line in ns['rule4']:
            m = re.match(r'(\d+): from (\S+)(?: fwmark (\S+))? lookup (\S+)', line)
            theirs.append((int(m[1]), None if m[2] == 'all' else m[2], int(m[3], 0) if m[3] else None,
                           TABLES.get(m[4]) or int(m[4])))
        ours = [tuple(r) for r in self.rows('SELECT priority, src, fwmark, "table" FROM rule WHERE netns = ? AND '
                                            'family = 2 ORDER BY priority', netns)]
        self.r.same(what + ' rules', ours, sorted(theirs, key=lambda rule: rule[0]))

    def rulesets(self, what, netns, ns):
        texts = dict(self.rows('SELECT format, content FROM firewall WHERE netns = ?', netns))
        lines = [' '.join(line.split()) for line in texts.get('nftables', '').splitlines()]
        lines = [re.sub(r'counter packets \d+ bytes \d+', 'counter', line) for line in lines if line]
        missing = [line for line in (re.sub(r'counter packets \d+ bytes \d+', 'counter', ' '.join(x.split()))
                                     for x in ns['nft']) if line and line not in lines]
        self.r.same(what + ' nft', missing, [])
        for key, kind in (('iptables_legacy', 'iptables'), ('ip6tables_legacy', 'ip6tables')):
            have = [re.sub(r'\[\d+:\d+\]', '[0:0]', line) for line in texts.get(kind, '').splitlines()]
            self.r.same(f'{what} {kind}', [line for line in ns[key] if re.sub(r'\[\d+:\d+\]', '[0:0]', line) not in
                                           have], [])

    def run(self):
        self.tasks()
        self.sockets()
        self.namespaces()
