#!/usr/bin/python3
"""What CRIU's own library (the one behind crit) reads in an image folder, and the same from the kernel.

  image.py show DIR            one JSON object: tasks with their descriptors, namespaces, files
  image.py compare DIR         every task, socket, device, address, route and rule of the image against the
                               kernel as it is now; a difference a line; exit status 1 when there are any

Needs Debian's criu package (pycriu) and runs in the process namespace of the dumped tasks. Nothing of nsimg
is used here.
"""
import base64, ctypes, glob, json, os, quopri, re, socket, struct, subprocess, sys
import pycriu

libc = ctypes.CDLL(None, use_errno=True)
SYS_pidfd_open, SYS_pidfd_getfd, SIOCGSKNS = 434, 438, 0x894C
SOL = socket.SOL_SOCKET

# field of sk_opts_entry: option of SOL_SOCKET
INT_OPTIONS = {
    'so_sndbuf': 7, 'so_rcvbuf': 8, 'reuseaddr': 2, 'so_priority': 12, 'so_rcvlowat': 18, 'so_mark': 36,
    'so_passcred': 16, 'so_passsec': 34, 'so_dontroute': 5, 'so_no_check': 11, 'so_reuseport': 15,
    'so_broadcast': 6, 'so_keepalive': 9, 'so_oobinline': 10,
}
TCP_OPTIONS = {'tcp_keepidle': 4, 'tcp_keepintvl': 5, 'tcp_keepcnt': 6}
KINDS = {'INETSK': 'isk', 'UNIXSK': 'usk', 'NETLINKSK': 'nlsk', 'PACKETSK': 'psk', 'NS': 'nsf'}


def entries(path):
    with open(path, 'rb') as f:
        return pycriu.images.load(f, False)['entries']


def load(folder):
    """The images of a folder: {name: entries} of all that the library knows."""
    out, unknown = {}, []
    for path in sorted(glob.glob(folder + '/*.img')):
        name = os.path.basename(path)[:-4]
        if name.startswith('nsimg') or re.match(r'(ifaddr|route6?|rule|ip6?tables|nftables|netns-ct|netns-exp)-', name):
            continue  # ours, and raw output of other tools
        try:
            out[name] = entries(path)
        except Exception as e:  # of whatever kind: crit would not read it either
            unknown.append('%s: %s' % (name, e))
    if unknown:
        sys.exit('crit cannot read ' + '; '.join(unknown))
    return out


def show(folder):
    img = load(folder)
    files = {e['id']: e for e in img.get('files', [])}
    doc = {'tasks': {}, 'netns': {}, 'files': len(files)}
    for t in img['pstree']:
        ids = img['ids-%d' % t['pid']][0]
        fds = {}
        for f in img.get('fdinfo-%d' % ids['files_id'], []):
            # a family that CRIU has no message for is UND, with a record in a file of nsimg's own
            entry = {'type': 'UND'} if f['type'] == 'UND' else files[f['id']]
            kind = KINDS.get(entry['type'])
            fds[str(f['fd'])] = dict(entry.get(kind) or {}, kind=entry['type'], cloexec=f['flags'])
        core = img['core-%d' % t['pid']][0]
        doc['tasks'][str(t['pid'])] = {
            'ppid': t['ppid'], 'threads': t['threads'], 'netns': ids['net_ns_id'],
            'userns': ids.get('user_ns_id'), 'comm': core['tc']['comm'], 'fds': fds}
    for name, found in img.items():
        if not name.startswith('netns-') or name.startswith('netns-ct') or name.startswith('netns-exp'):
            continue
        ns = name.split('-')[1]
        doc['netns'][ns] = {
            'external': found[0].get('ext_key'),
            'devices': sorted(d['name'] for d in img.get('netdev-' + ns, [])),
            'nsids': found[0].get('nsids', [])}
    return doc, img


# ---- the kernel ----

def getfd(pid, fd):
    pidfd = libc.syscall(SYS_pidfd_open, pid, 0)
    if pidfd < 0:
        raise OSError(ctypes.get_errno(), 'pidfd_open %d' % pid)
    got = libc.syscall(SYS_pidfd_getfd, pidfd, fd, 0)
    os.close(pidfd)
    if got < 0:
        raise OSError(ctypes.get_errno(), 'pidfd_getfd %d %d' % (pid, fd))
    return got


def sockets_of(pid):
    out = {}
    for fd in os.listdir('/proc/%d/fd' % pid):
        try:
            if os.readlink('/proc/%d/fd/%s' % (pid, fd)).startswith('socket:'):
                out[fd] = socket.socket(fileno=getfd(pid, int(fd)))
        except FileNotFoundError:
            pass
    return out


def netns_inode(sk):
    fd = libc.ioctl(sk.fileno(), SIOCGSKNS)
    if fd < 0:
        raise OSError(ctypes.get_errno(), 'SIOCGSKNS')
    ino = os.fstat(fd).st_ino
    os.close(fd)
    return ino


def in_ns(pid, *cmd, stdin=None):
    p = subprocess.run(['nsenter', '--net=/proc/%d/ns/net' % pid, '--'] + list(cmd), capture_output=True,
                       text=True, stdin=stdin)
    return p.stdout


class Differences(list):
    def check(self, what, image, kernel):
        if image != kernel:
            self.append('%s: image %r, kernel %r' % (what, image, kernel))


def option(sk, level, name):
    try:
        return sk.getsockopt(level, name)
    except OSError:
        return None


def text_address(words, family):
    return socket.inet_ntop(family, struct.pack('=%dI' % len(words), *words))


def compare_inet(d, what, e, sk):
    name = sk.getsockname()
    d.check(what + ' family', e['family'], sk.family)
    d.check(what + ' protocol', e['proto'], sk.proto)
    d.check(what + ' local', (text_address(e['src_addr'], e['family']), e['src_port']),
            (name[0].split('%')[0], name[1]))
    try:
        peer = sk.getpeername()
        d.check(what + ' peer', (text_address(e['dst_addr'], e['family']), e['dst_port']),
                (peer[0].split('%')[0], peer[1]))
    except OSError:
        d.check(what + ' peer port', e['dst_port'], 0)
    if e['family'] == socket.AF_INET6:
        d.check(what + ' v6only', bool(e.get('v6only')), bool(option(sk, socket.IPPROTO_IPV6, 26)))
    if e['proto'] == socket.IPPROTO_TCP:
        for field, number in TCP_OPTIONS.items():
            if field in e['opts']:
                d.check('%s %s' % (what, field), e['opts'][field], option(sk, socket.IPPROTO_TCP, number))


def compare_unix(d, what, e, sk):
    name = sk.getsockname()
    name = name.encode() if isinstance(name, str) else name
    image = quopri.decodestring(e['name'])
    # CRIU keeps the zero byte that ends a path (and not one after an abstract name)
    d.check(what + ' name', image if image[:1] == b'\0' else image.rstrip(b'\0'), name)


def compare_socket(d, what, e, sk):
    d.check(what + ' listening', e.get('state') == 10, bool(option(sk, SOL, 30)))
    if e['kind'] != 'PACKETSK':
        d.check(what + ' inode', e['ino'], os.fstat(sk.fileno()).st_ino)
    if 'type' in e:
        d.check(what + ' type', e['type'], sk.type & 0xf)
    for field, number in INT_OPTIONS.items():
        if field in e['opts']:
            d.check('%s %s' % (what, field), int(e['opts'][field]), option(sk, SOL, number))
    linger = sk.getsockopt(SOL, socket.SO_LINGER, 8)
    on, seconds = struct.unpack('ii', linger)
    d.check(what + ' linger', e['opts'].get('so_linger'), seconds if on else None)
    dev = sk.getsockopt(SOL, socket.SO_BINDTODEVICE, 16).rstrip(b'\0').decode()
    d.check(what + ' device', e['opts'].get('so_bound_dev', ''), dev)
    if e['kind'] == 'INETSK':
        compare_inet(d, what, e, sk)
    elif e['kind'] == 'UNIXSK':
        compare_unix(d, what, e, sk)
    elif e['kind'] == 'NETLINKSK':
        portid = sk.getsockname()[0]
        member = sk.getsockopt(270, 9, 128)  # NETLINK_LIST_MEMBERSHIPS: groups beyond 32 as well
        groups = list(struct.unpack('=%dI' % (len(member) // 4), member[:len(member) // 4 * 4]))
        strip = lambda words: words[:max((i + 1 for i, w in enumerate(words) if w), default=0)]
        d.check(what + ' portid', e['portid'], portid)
        d.check(what + ' groups', strip(e.get('groups', [])), strip(groups))
        d.check(what + ' protocol', e['protocol'], sk.proto)
    elif e['kind'] == 'PACKETSK':
        ifname, proto = sk.getsockname()[:2]
        d.check(what + ' protocol', socket.ntohs(e['protocol']), proto)


def backlogs(pid):
    """{inode: backlog} of the listeners that ss shows in the namespace of a task."""
    out = {}
    for flag in '-t', '-x':
        for line in in_ns(pid, 'ss', '-lneH', flag).splitlines():
            words = line.split()
            ino = re.search(r'ino:(\d+)', line)
            if flag == '-x':
                # Netid State Recv-Q Send-Q Local Port(inode) Peer Port
                out[int(words[5])] = int(words[3])
            elif ino:
                out[int(ino.group(1))] = int(words[2])
    return out


def compare_tasks(d, doc):
    inode = {}  # netns id of the image: inode
    for pid, t in doc['tasks'].items():
        d.check('task %s comm' % pid, t['comm'], open('/proc/%s/comm' % pid).read().strip())
        d.check('task %s threads' % pid, len(t['threads']), len(os.listdir('/proc/%s/task' % pid)))
        inode.setdefault(t['netns'], os.stat('/proc/%s/ns/net' % pid).st_ino)
        d.check('task %s namespace' % pid, inode[t['netns']], os.stat('/proc/%s/ns/net' % pid).st_ino)
        sockets = sockets_of(int(pid))
        d.check('task %s sockets' % pid, sorted(f for f in t['fds'] if t['fds'][f]['kind'] in KINDS and
                                                t['fds'][f]['kind'] != 'NS'),
                sorted(f for f in sockets if sockets[f].family in (1, 2, 10, 16, 17) and
                       sockets[f].proto != 262))
        queue = backlogs(int(pid))
        for fd, sk in sockets.items():
            e = t['fds'].get(fd)
            if not e or 'opts' not in e:
                continue
            what = 'task %s fd %s' % (pid, fd)
            d.check(what + ' cloexec', e['cloexec'],
                    int(bool(int(re.search(r'flags:\s*(\d+)', open('/proc/%s/fdinfo/%s' % (pid, fd)).read())
                                 .group(1), 8) & os.O_CLOEXEC)))
            if 'ns_id' in e:
                inode.setdefault(e['ns_id'], netns_inode(sk))
                d.check(what + ' namespace', inode[e['ns_id']], netns_inode(sk))
            compare_socket(d, what, e, sk)
            if e.get('state') == 10 and e.get('ino') in queue:
                d.check(what + ' backlog', e['backlog'], queue[e['ino']])


def compare_netns(d, doc, img, folder):
    seen = set()
    for pid, t in doc['tasks'].items():
        ns = str(t['netns'])
        if ns in seen or doc['netns'][ns]['external']:
            continue
        seen.add(ns)
        links = {l['ifindex']: l for l in json.loads(in_ns(int(pid), 'ip', '-d', '-j', 'link') or '[]')}
        d.check('namespace %s indexes' % ns, sorted(e['ifindex'] for e in img['netdev-' + ns]), sorted(links))
        for e in img['netdev-' + ns]:
            l, what = links.get(e['ifindex']), 'namespace %s device %d' % (ns, e['ifindex'])
            if not l:
                continue
            d.check(what + ' name', e['name'], l['ifname'])
            d.check(what + ' mtu', e['mtu'], l['mtu'])
            d.check(what + ' up', bool(e['flags'] & 1), 'UP' in l['flags'])
            addr = e.get('address', b'')
            addr = addr if isinstance(addr, bytes) else base64.b64decode(addr)
            if l['link_type'] == 'ether':  # CRIU keeps none of lo
                d.check(what + ' address', ':'.join('%02x' % b for b in addr), l['address'])
            if 'master' in l:
                d.check(what + ' master', e.get('master'),
                        next(i for i, m in links.items() if m['ifname'] == l['master']))
            if l.get('linkinfo', {}).get('info_kind') == 'veth':
                peer = l.get('link_index') or next((i for i, m in links.items() if m['ifname'] == l.get('link')),
                                                   None)
                d.check(what + ' peer', e.get('peer_ifindex'), peer)
        compare_raw(d, ns, int(pid), folder)


def compare_raw(d, ns, pid, folder):
    """ifaddr and route images are what "ip address save" and "ip route save" write."""
    with open('%s/ifaddr-%s.img' % (folder, ns), 'rb') as f:
        image = in_ns(pid, 'ip', 'address', 'showdump', stdin=f)
    # showdump does not print which device each is of where it has no names; so does the pattern
    address = re.compile(r'\b(inet6? [^ ]+ .*?scope [^\n]*|inet6? [^ ]+.*?)(?:\n|$)')
    only = lambda text: sorted(m.group(1).strip() for m in address.finditer(text))
    d.check('namespace %s addresses' % ns, only(image), only(in_ns(pid, 'ip', 'address', 'show')))
    for family, name in ('-4', 'route'), ('-6', 'route6'):
        path = '%s/%s-%s.img' % (folder, name, ns)
        if not os.path.exists(path):
            d.append('namespace %s: no %s' % (ns, name))
            continue
        with open(path, 'rb') as f:
            image = in_ns(pid, 'ip', family, 'route', 'showdump', stdin=f)
        kernel = in_ns(pid, 'ip', family, 'route', 'show')
        # a route with a nexthop object would be refused by "ip route restore": it is kept elsewhere
        d.check('namespace %s %s' % (ns, name), routes(image), [r for r in routes(kernel) if ' nhid ' not in r])


def routes(text):
    """Routes of the main table, one string each; expiry is a clock."""
    text = re.sub(r'\n[\t ]+', ' ', text)
    text = re.sub(r' expires \S+', '', text)
    return sorted(re.sub(r' +', ' ', l).strip() for l in text.splitlines() if l.strip() and
                  not re.search(r' table (?!main)', l) and not re.match(r'(local|broadcast|anycast|multicast) ', l))


def compare_userns(d, doc, img):
    for pid, t in doc['tasks'].items():
        name = 'userns-%s' % t['userns']
        if name not in img:
            continue
        for field, path in ('uid_map', 'uid_map'), ('gid_map', 'gid_map'):
            kernel = [tuple(map(int, l.split())) for l in open('/proc/%s/%s' % (pid, path))]
            image = [(x['first'], x['lower_first'], x['count']) for x in img[name][0].get(field, [])]
            d.check('task %s %s' % (pid, field), image, kernel)


def main():
    if sys.argv[1] == 'show':
        print(json.dumps(show(sys.argv[2])[0], default=lambda b: base64.b64encode(b).decode()))
        return 0
    doc, img = show(sys.argv[2])
    d = Differences()
    compare_tasks(d, doc)
    compare_netns(d, doc, img, sys.argv[2])
    compare_userns(d, doc, img)
    print('\n'.join(d))
    return 1 if d else 0


if __name__ == '__main__':
    sys.exit(main())
