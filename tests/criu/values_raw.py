"""Raw images: netlink messages read here from the numbers in the kernel's headers, and by ip(8), with the rows.

Numbers: include/uapi/linux/{if_addr,rtnetlink,fib_rules}.h, .../netfilter/nfnetlink_conntrack.h. Rulesets are text:
the row has the bytes of the file.
"""
import ipaddress, json, re, struct, subprocess

IN4, IN6 = 2, 10
MAGIC = {'ifaddr': 0x47361222, 'route': 0x45311224, 'route6': 0x45311224, 'rule': 0x71706986}


def ip_text(b):
    a = ipaddress.ip_address(b)
    return f'::ffff:{a.ipv4_mapped}' if len(b) == 16 and a.ipv4_mapped else str(a)


def u8(b):
    return b[0]


def u16be(b):
    return struct.unpack('>H', b)[0]


def u32(b):
    return struct.unpack('=I', b)[0]


def s32(b):
    return struct.unpack('=i', b)[0]


def u32be(b):
    return struct.unpack('>I', b)[0]


def text(b):
    return b.rstrip(b'\0').decode()


def attributes(b):
    """type (without the bits for nested and byte order) -> payload"""
    out, at = {}, 0
    while at + 4 <= len(b):
        size, kind = struct.unpack_from('=HH', b, at)
        if size < 4:
            break
        out[kind & 0x3fff] = b[at + 4:at + size]
        at += size + 3 & ~3
    return out


def messages(name, data):
    """(offset, type, payload) of what the tool wrote after its magic"""
    at = 4 if name in MAGIC else 0
    while at + 16 <= len(data):
        size, kind = struct.unpack_from('=IH', data, at)
        if size < 16:
            break
        yield at, kind, data[at + 16:at + size]
        at += size + 3 & ~3


# ---- what a message says, as columns; what is left of its attributes goes to "other" ----

def address(m):
    family, prefixlen, flags, scope, index = struct.unpack_from('=BBBBI', m)
    a = attributes(m[8:])
    out = {'family': family, 'prefixlen': prefixlen, 'scope': scope, 'ifindex': index,
           'flags': u32(a.pop(8)) if 8 in a else flags}
    local, far = a.pop(2, None), a.pop(1, None)
    out['address'] = ip_text(local or far)
    out['peer'] = ip_text(far) if local and far and local != far else None
    for number, column, read in ((4, 'broadcast', ip_text), (5, 'anycast', ip_text), (3, 'label', text),
                                 (9, 'metric', u32), (11, 'proto', u8)):
        out[column] = read(a.pop(number)) if number in a else None
    # preferred, valid, and when it was made and changed, which is not of the address
    out['preferred_lft'], out['valid_lft'], _, _ = struct.unpack('=4I', a.pop(6)) if 6 in a else [None] * 4
    return out, a


def prefix(b, length, absent):
    if b is None:
        return absent
    return ip_text(b) + ('' if length == len(b) * 8 else f'/{length}')


METRICS = {2: 'mtu'}


def hops(b):
    out, at = [], 0
    while at + 8 <= len(b):
        size, flags, weight, index = struct.unpack_from('=HBBi', b, at)
        a = attributes(b[at + 8:at + size])
        hop = {'oif': index, 'weight': weight + 1, 'flags': flags}
        if 5 in a:
            hop['gateway'] = ip_text(a[5])
        out.append(hop)
        at += size + 3 & ~3
    return ('json', out)


def route(m):
    family, dst_len, src_len, tos, table, proto, scope, kind, flags = struct.unpack_from('=8BI', m)
    a = attributes(m[12:])
    out = {'family': family, 'tos': tos, 'protocol': proto, 'scope': scope, 'type': kind, 'flags': flags,
           'dst': prefix(a.pop(1, None), dst_len, 'default'), 'src': prefix(a.pop(2, None), src_len, None),
           'table': u32(a.pop(15)) if 15 in a else table}
    for number, column, read in ((6, 'priority', u32), (4, 'oif', u32), (3, 'iif', u32), (5, 'gateway', ip_text),
                                 (7, 'prefsrc', ip_text), (30, 'nh_id', u32), (20, 'pref', u8),
                                 (9, 'multipath', hops), (18, 'via', None)):
        out[column] = read(a.pop(number)) if number in a else None
    out['metrics'] = ('json', {METRICS[k]: u32(v) for k, v in attributes(a.pop(8)).items()}) if 8 in a else None
    if 12 in a:
        # lifetime in hundredths; counters are not of the route
        expires = struct.unpack('=IIiIIIII', a.pop(12))[2]
        if expires:
            a['cacheinfo'] = {'expires': expires}
    return out, a


def span(b):
    first, last = struct.unpack('=HH' if len(b) == 4 else '=II', b)
    return str(first) if first == last and len(b) == 4 else f'{first}-{last}'


def rule(m):
    family, dst_len, src_len, tos, table, _, _, action, flags = struct.unpack_from('=8BI', m)
    a = attributes(m[12:])
    out = {'family': family, 'tos': tos, 'action': action, 'flags': flags, 'priority': u32(a.pop(6, bytes(4))),
           'src': prefix(a.pop(2, None), src_len, None), 'dst': prefix(a.pop(1, None), dst_len, None),
           'table': u32(a.pop(15)) if 15 in a else table}
    for number, column, read in ((3, 'iif', text), (17, 'oif', text), (10, 'fwmark', u32), (16, 'fwmask', u32),
                                 (4, 'goto', u32), (22, 'ipproto', u8), (23, 'sport', span), (24, 'dport', span),
                                 (20, 'uidrange', span), (14, 'suppress_prefixlength', s32),
                                 (13, 'suppress_ifgroup', s32), (19, 'l3mdev', u8), (21, 'protocol', u8)):
        out[column] = read(a.pop(number)) if number in a else None
    out['tun_id'] = None
    return out, a


def conntrack(m):
    a = attributes(m[4:])
    out = {'family': m[0]}
    for number, before in ((1, ''), (2, 'reply_')):
        parts = attributes(a.pop(number))
        addresses, proto = attributes(parts[1]), attributes(parts[2])
        for name, v4, v6 in (('src', 1, 3), ('dst', 2, 4)):
            found = addresses.get(v4) or addresses.get(v6)
            out[before + name] = ip_text(found) if found else None
        out[before + 'sport'] = u16be(proto[2]) if 2 in proto else None
        out[before + 'dport'] = u16be(proto[3]) if 3 in proto else None
        out['proto'] = proto[1][0]
    for number, column in ((3, 'status'), (7, 'timeout'), (8, 'mark'), (18, 'zone')):
        out[column] = u32be(a.pop(number)) if number in a else None
    tcp = attributes(attributes(a.pop(4, b'')).get(1, b''))
    out['tcp_state'] = tcp.pop(1)[0] if 1 in tcp else None
    other = {'tuple_reply': {'proto': {'num': out['proto']}}}
    if tcp:
        other['protoinfo'] = {'tcp': {'wscale_original': tcp[2][0], 'wscale_reply': tcp[3][0],
                                      'flags_original': dict(zip(('flags', 'mask'), tcp[4])),
                                      'flags_reply': dict(zip(('flags', 'mask'), tcp[5]))}}
    # an id that the kernel gives, and how often it was used
    a.pop(12, None), a.pop(11, None)
    return out, a | other


KINDS = {'ifaddr': ('address', address), 'route': ('route', route), 'route6': ('route', route), 'rule': ('rule', rule),
         'netns-ct': ('conntrack', conntrack), 'netns-exp': ('conntrack', conntrack)}
FIREWALL = {'nftables': 'nftables', 'iptables': 'iptables', 'ip6tables': 'ip6tables'}


class Raw:
    def __init__(self, report, db, image, files, ip):
        self.r, self.db, self.image, self.files, self.ip = report, db, image, files, ip

    def rows(self, table):
        out = {}
        for r in self.db.execute(f'SELECT f.name AS "file name", n.ns_id AS "ns", t.* FROM {table} t JOIN image_file f '
                                 'ON f.id = t.file JOIN netns n ON n.id = t.netns AND n.image = t.image WHERE t.image = ? ORDER BY t.id', (self.image,)):
            out.setdefault((r['file name'], r['off']), []).append(dict(zip(r.keys(), tuple(r))))
        n = self.db.execute(f'SELECT count(*) FROM {table} WHERE image = ?', (self.image,)).fetchone()[0]
        self.r.same(f'{table}: rows of namespaces and files of the image', sum(map(len, out.values())), n)
        return out

    def message(self, what, row, told, other):
        for column, theirs in told.items():
            ours = row[column]
            if isinstance(theirs, tuple):
                ours, theirs = ours and json.loads(ours), theirs[1]
            self.r.same(f'{what} {column}', ours, theirs)
        self.r.same(what + ' other', json.loads(row['other'] or '{}'), other)

    def file(self, kind, ns, name, data, rows):
        table, read = KINDS[kind]
        if kind in MAGIC:
            self.r.same(name + ' magic', u32(data[:4]), MAGIC[kind])
        for no, (at, nl_type, payload) in enumerate(messages(kind, data)):
            if nl_type < 16:
                continue
            what = f'{name} {no}'
            found = rows[table].pop((name, at), [])
            self.r.same(what + ' rows', len(found), 1)
            if found:
                told, other = read(payload)
                if table == 'conntrack':
                    # the expectation image of CRIU holds the connections once more
                    told['expect'] = int(kind == 'netns-exp')
                self.message(what, found[0], told | {'ns': ns, 'rec': no}, other)

    def run(self):
        rows = {t: self.rows(t) for t in ('address', 'route', 'rule', 'conntrack')}
        rulesets = {(r['file name'], r['format'], r['ns'], r['rec'], r['off']): r['content']
                    for found in self.rows('firewall').values() for r in found}
        for name, data in self.files.items():
            m = re.fullmatch(r'(?:checkpoint/)?([a-z0-9]+(?:-ct|-exp)?)-(\d+)\.img', name)
            if m and m[1] in KINDS:
                self.ip.read(m[1], name, data, [r for (n, _), found in rows[KINDS[m[1]][0]].items() for r in found
                                                if n == name])
                self.file(m[1], int(m[2]), name, data, rows)
            elif m and m[1] in FIREWALL:
                # a text of C: it ends with a zero byte
                theirs = data.split(b'\0')[0].decode()
                self.r.same(name + ' text', rulesets.pop((name, FIREWALL[m[1]], int(m[2]), 0, 0), None), theirs)
        for table, left in rows.items():
            for key in left:
                self.r.say(f'{table}: a row of {key}, where no message is')
        self.r.same('rulesets left', list(rulesets), [])


# ---- ip(8) ----

class Ip:
    """ip reads the bytes: showdump prints them; rules go to the kernel of a namespace and are listed from there."""

    def __init__(self, report):
        self.r, self.seen = report, set()

    def once(self, kind, data):
        """Most images hold the same: sequence number, port and times of addresses do not count."""
        b = bytearray(data)
        for at, _, payload in messages(kind, data):
            b[at + 8:at + 16] = bytes(8)
        b = re.sub(rb'\x14\0\x06\0.{16}', b'', bytes(b), flags=re.S) if kind == 'ifaddr' else bytes(b)
        is_new = (kind, b) not in self.seen
        self.seen.add((kind, b))
        return is_new

    def run(self, *args, data=b''):
        r = subprocess.run(args, input=data, capture_output=True)
        if r.returncode:
            self.r.say(f'{" ".join(args)}: {r.stderr.decode()}')
        return r.stdout.decode()

    def read(self, kind, name, data, rows):
        readers = {'ifaddr': self.addresses, 'route': self.routes, 'route6': self.routes, 'rule': self.rules}
        if kind in readers and self.once(kind, data):
            readers[kind](name, data, rows)

    def addresses(self, name, data, rows):
        out = json.loads(self.run('ip', '-json', '-N', 'address', 'showdump', data=data))
        theirs = sorted((a['index'], a['local'], a.get('address') or '', a['prefixlen'], int(a['scope']),
                         a.get('broadcast') or '', a.get('label') or '', a['valid_life_time'],
                         a['preferred_life_time']) for e in out for a in e['addr_info'])
        ours = sorted((r['ifindex'], r['address'], r['peer'] or '', r['prefixlen'], r['scope'], r['broadcast'] or '',
                       r['label'] or '', r['valid_lft'], r['preferred_lft']) for r in rows)
        self.r.same(name + ' as ip reads it', ours, theirs)

    WORDS = {'table': 'table', 'proto': 'protocol', 'scope': 'scope', 'via': 'gateway', 'src': 'prefsrc',
             'metric': 'priority', 'from': 'src'}

    def routes(self, name, data, rows):
        theirs = []
        for line in self.run('ip', '-N', '-d', 'route', 'showdump', data=data).splitlines():
            if not line or line[0].isspace():
                continue  # next hops of the one before
            words = line.split()
            one = {'type': int(words[0]), 'dst': words[1]}
            for key, value in zip(words[2:], words[3:]):
                if key in self.WORDS:
                    one[self.WORDS[key]] = value
            theirs.append(one)
        ours = [r for r in rows if r['table'] == 254]
        self.r.same(name + ' routes that ip reads', len(ours), len(theirs))
        for row, one in zip(ours, theirs):
            for column, value in one.items():
                self.r.same(f'{name} {one["dst"]} {column} as ip reads it', str(row[column]), str(value))

    def rules(self, name, data, rows):
        # in a namespace of its own, without the rules that are there already
        out = self.run('unshare', '--net', 'sh', '-ec', 'ip rule flush; ip rule delete priority 0; ip rule restore; '
                       'exec ip -json -N -details rule list', data=data)
        theirs = [(r['priority'], self.prefix(r, 'src'), self.prefix(r, 'dst'), int(r['table']),
                   int(r.get('fwmark', '0'), 0), int(r.get('protocol', 0))) for r in json.loads(out or '[]')]
        ours = [(r['priority'], r['src'] or 'all', r['dst'] or 'all', r['table'], r['fwmark'] or 0, r['protocol'] or 0)
                for r in rows if r['family'] == IN4]
        self.r.same(name + ' as ip restores it', ours, theirs)

    @staticmethod
    def prefix(r, key):
        return r.get(key, 'all') + (f'/{r[key + "len"]}' if key + 'len' in r else '')
