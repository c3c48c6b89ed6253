"""Every record of a kind that crit knows, field by field, with the row that nsimg made of it.

The rule is the one of doc/schema.md: a field is the column of the same name. Where it is not, the tables here say
so, from that page and from the fields' meaning. A field without a column that is not listed as KEPT is a
difference, and so is a column that has a value which no field told.
"""
import base64, hashlib, ipaddress, json, os, quopri, re, struct

from critlib import crit, crit_knows, escape, pycriu

pb = pycriu.images
ENUMS = {'fd_types': 'fdinfo_pb2', 'nd_type': 'netdev_pb2', 'sk_shutdown': 'sk_opts_pb2'}


def enum(kind, word):
    return getattr(getattr(pb, ENUMS[kind]), kind).Value(word)


# ---- how a value of crit is written in the database ----

def as_number(v):
    v = int(v)
    return v - (1 << 64) if v >= 1 << 63 else v


def as_text(v):
    return escape(v.encode('utf-8', 'surrogateescape'))


def as_unix_name(v):
    name = quopri.decodestring(v)
    # CRIU keeps the zero byte that ends a path; of an abstract name every byte counts
    return escape(name if name[:1] == b'\0' else name.removesuffix(b'\0'))


def as_address(words):
    b = struct.pack(f'={len(words)}I', *words)
    address = ipaddress.ip_address(b)
    # as inet_ntop(3) writes it
    return f'::ffff:{address.ipv4_mapped}' if len(b) == 16 and address.ipv4_mapped else str(address)


def as_mac(v):
    return ':'.join(f'{x:02x}' for x in base64.b64decode(v))


def as_filter(v):
    return b''.join(struct.pack('<Q', x) for x in v)


def as_same(v):
    return as_text(v) if isinstance(v, str) else as_number(v)


def as_json(v):
    return ('json', v)


def as_bytes_in_json(key):
    return lambda v: ('json', [{k: base64.b64decode(x).hex() if k == key else x for k, x in e.items()} for e in v])


def as_json_unless_zero(v):
    return ('json', v) if any(v.values()) else None


def as_extents(v):
    return ('json', [[e['first'], e['lower_first'], e['count']] for e in v])


# field: (column, how). A part of a message that is named here is not looked into.
SOCKET = {
    'id': ('file_id', as_same), 'fown': ('fown', as_json_unless_zero), 'opts.so_filter': ('so_filter', as_filter),
    'shutdown': ('shutdown', lambda v: enum('sk_shutdown', v)),
}
INET = SOCKET | {
    'proto': ('protocol', as_same), 'src_addr': ('src', as_address), 'dst_addr': ('dst', as_address),
    'ip_opts.raw.icmpv_filter': ('icmpv_filter', as_json),
}
UNIX = SOCKET | {'name': ('name', as_unix_name)}
PACKET = SOCKET | {'mclist': ('mclist', as_bytes_in_json('addr')), 'rx_ring': ('rx_ring', as_json),
                   'tx_ring': ('tx_ring', as_json)}
NETLINK = SOCKET | {'groups': ('groups', as_json)}
TUN = {'id': ('file_id', as_same)}
NS_FILE = {'id': ('file_id', as_same), 'ns_cflag': ('cflag', as_same)}
FD = {'id': ('file_id', as_same), 'type': ('type', lambda v: enum('fd_types', v))}
# tun, macvlan and sit are the attributes of a device of that kind
DEVICE = {'type': ('nd_type', lambda v: enum('nd_type', v)), 'address': ('address', as_mac), 'tun': ('attrs', as_json),
          'macvlan': ('attrs', as_json), 'sit': ('attrs', as_json), 'peer_ifindex': ('link', as_same)}
USERNS = {'uid_map': ('uid_map', as_extents), 'gid_map': ('gid_map', as_extents)}
QUEUE = {'id_for': ('file_id', as_same)}

# Not of the network, or told by rows of other tables (checked there).
KEPT = {'xattr_security_selinux', 'peer_nsid', 'conf', 'conf4', 'conf6', 'scm', 'threads'}
# Columns that say where a row came from, and those that other rows decide (checked below).
ORIGIN = {'id', 'image', 'file', 'rec', 'off', 'socket', 'netns'}

# part of files.img: table of the family, special fields, columns that every such socket has
PARTS = {
    'isk': ('inet_socket', INET, {}),
    'usk': ('unix_socket', UNIX, {'family': 1, 'protocol': 0}),
    'psk': ('packet_socket', PACKET, {'family': 17}),
    # CRIU has no field for the type of a netlink socket, which the kernel treats as SOCK_RAW or SOCK_DGRAM alike
    'nlsk': ('netlink_socket', NETLINK, {'family': 16, 'type': 3}),
}
LISTS = {'conf4': 'net/ipv4/conf/{}/', 'def_conf4': 'net/ipv4/conf/default/', 'all_conf4': 'net/ipv4/conf/all/',
         'conf6': 'net/ipv6/conf/{}/', 'def_conf6': 'net/ipv6/conf/default/', 'all_conf6': 'net/ipv6/conf/all/',
         'unix_conf': 'net/unix/', 'ipv4_sysctl': 'net/ipv4/'}


def read_kinds(path):
    """(pattern of the name, base of its number, kind) of all files that CRIU writes; those of statistics are in the
    text beside the table only"""
    out = [(re.compile(r'(?:.*/)?stats-dump'), 10, 'STATS_DUMP')]
    with open(path) as f:
        next(f)
        for line in f:
            kind, name = line.split('\t')[:2]
            pattern = re.sub(r'%l?u', r'(\\d+)', re.escape(name)).replace('%x', '([0-9a-f]+)')
            out.append((re.compile(r'(?:.*/)?' + pattern), 16 if '%x' in name else 10, kind))
    return out


def leaves(message, special, prefix=''):
    for key, value in message.items():
        path = prefix + key
        if isinstance(value, dict) and path not in special and key not in KEPT:
            yield from leaves(value, special, path + '.')
        else:
            yield path, value


def read_names(path):
    """Positional lists of sysctls: field -> names in order."""
    out = {}
    with open(path) as f:
        next(f)
        for line in f:
            fields, position, name = line.rstrip('\n').split('\t')
            for field in fields.split('/'):
                assert len(out.setdefault(field, [])) == int(position)
                out[field].append(name)
    return out


class Crit:
    """One image: its files, its rows."""

    def __init__(self, report, db, image, source, files, facts):
        self.r, self.db, self.image, self.source, self.files = report, db, image, source, files
        self.names, self.kinds = facts
        self.ns_id = {r['id']: r['ns_id'] for r in db.execute('SELECT * FROM netns WHERE image = ?', (image,))}
        self.root_ns = None
        self.n_records = 0

    # ---- finding ----

    def rows(self, table, join=''):
        """The rows of a table by name of file and record."""
        out = {}
        for r in self.db.execute(f'SELECT f.name AS "file name", t.*{", j.*" if join else ""} FROM {table} t JOIN '
                                 f'image_file f ON f.id = t.file {join} WHERE t.image = ?', (self.image,)):
            row = dict(zip(r.keys(), tuple(r)))
            if row.get('netns') is not None and row['netns'] not in self.ns_id:
                self.r.say(f'{table} {row["id"]}: of a namespace of another image')
            out.setdefault((row['file name'], row['rec']), []).append(row)
        return out

    def entries(self, pattern, base=10):
        """(name, number in the name, entries) of the files of one kind"""
        for name, data in self.files.items():
            m = re.fullmatch(r'(?:checkpoint/)?' + pattern, name)
            if m:
                yield name, int(m[1], base) if m.groups() else None, crit(data)

    # ---- comparing ----

    def message(self, what, row, message, special=(), consts=(), free=()):
        special, consts = dict(special), dict(consts)
        told = set(ORIGIN) | set(free) | {'file name'} | set(consts)
        self.n_records += 1
        for path, value in leaves(message, special):
            last = path.rsplit('.', 1)[-1]
            if last in KEPT:
                continue
            column, how = special.get(path, (last, as_same))
            if column not in row:
                self.r.say(f'{what}: no column for {path}')
                continue
            theirs, ours = how(value), row[column]
            told.add(column)
            if isinstance(theirs, tuple):
                ours, theirs = ours and json.loads(ours), theirs[1]
            self.r.same(f'{what} {path}', ours, theirs)
        for column, value in consts.items():
            self.r.same(f'{what} {column}', row[column], value)
        for column, value in row.items():
            if column not in told and value not in (None, '[]'):
                self.r.say(f'{what}: {column} is {value!r}, which no field says')

    def only(self, rows, name, no, what):
        found = rows.pop((name, no), [])
        self.r.same(what + ' rows', len(found), 1)
        return found[0] if found else None

    def all_found(self, rows, what):
        for key in rows:
            self.r.say(f'{what}: a row of {key}, where crit has no record')

    def of_netns(self, what, row, number):
        self.r.same(what + ' namespace', self.ns_id.get(row['netns']), self.root_ns if number is None else number)

    # ---- kinds ----

    def inventory(self):
        for name, _, entries in self.entries(r'inventory\.img'):
            e = entries[0]
            row = self.db.execute('SELECT * FROM image WHERE id = ?', (self.image,)).fetchone()
            facts = {r['key']: r['value'] for r in self.db.execute(
                "SELECT key, value FROM image_fact WHERE image = ? AND key LIKE 'inventory.%'", (self.image,))}
            self.root_ns = e['root_ids'].get('net_ns_id')
            self.r.same('root_ns_id', row['root_ns_id'], self.root_ns)
            self.r.same('lock_method', row['lock_method'], e.pop('network_lock_method', None))
            self.r.same('img_version', row['img_version'], e.pop('img_version'))
            tree = next(entries for _, _, entries in self.entries(r'pstree\.img'))
            self.r.same('root_pid', row['root_pid'], tree[0]['pid'])
            self.r.same('format', row['format'], 'criu')
            self.r.same('source_kind', row['source_kind'], 'directory' if os.path.isdir(self.source) else 'archive')
            theirs = {}
            for key, value in e.items():
                field = pb.pb.inventory_entry.DESCRIPTOR.fields_by_name[key]
                if field.enum_type:
                    value = field.enum_type.values_by_name[value].number
                if not isinstance(value, (dict, list)):
                    theirs['inventory.' + key] = as_text(value) if isinstance(value, str) else str(int(value))
            self.r.same('facts of the inventory', facts, theirs)

    def sockets(self):
        rows = {part: self.rows('socket', f'JOIN {table} j ON j.socket = t.id')
                for part, (table, _, _) in PARTS.items()}
        tuns, ns_files = self.rows('tun_file'), self.rows('ns_file')
        for name, _, entries in self.entries(r'files\.img'):
            for no, e in enumerate(entries):
                for part, (_, special, consts) in PARTS.items():
                    if part in e:
                        what = f'{name} {no} {part}'
                        row = self.only(rows[part], name, no, what)
                        if row:
                            self.message(what, row, e[part], special, consts)
                            self.of_netns(what, row, e[part].get('ns_id'))
                            self.r.same(what + ' file_id', row['file_id'], e['id'])
                for part, found, special in (('tunf', tuns, TUN), ('nsf', ns_files, NS_FILE)):
                    if part in e:
                        row = self.only(found, name, no, f'{name} {no}')
                        if row:
                            self.message(f'{name} {no} {part}', row, e[part], special)
                            if part == 'tunf':
                                self.of_netns(f'{name} {no} tunf', row, e[part].get('ns_id'))
        for part, left in rows.items():
            self.all_found(left, part)
        self.all_found(tuns, 'tun_file')
        self.all_found(ns_files, 'ns_file')
        n = self.db.execute('SELECT count(*) FROM socket WHERE image = ?', (self.image,)).fetchone()[0]
        self.r.same('sockets', n, sum(p in e for _, _, entries in self.entries(r'files\.img') for e in entries
                                      for p in PARTS))

    def descriptors(self):
        rows = self.rows('fd')
        for name, number, entries in self.entries(r'fdinfo-(\d+)\.img'):
            for no, e in enumerate(entries):
                row = self.only(rows, name, no, f'{name} {no}')
                if row:
                    self.message(f'{name} {no}', row, e, FD, {'files_id': number})
        self.all_found(rows, 'fd')

    def tasks(self):
        rows = self.rows('task')
        threads = self.rows('thread')
        ids = {number: e[0] for _, number, e in self.entries(r'ids-(\d+)\.img')}
        cores = {number: e[0] for _, number, e in self.entries(r'core-(\d+)\.img')}
        columns = {'files_id': 'files_id', 'net_ns_id': 'ns_id', 'user_ns_id': 'userns', 'pid_ns_id': 'pidns',
                   'mnt_ns_id': 'mntns'}
        for name, _, entries in self.entries(r'pstree\.img'):
            for no, e in enumerate(entries):
                what = f'{name} {no}'
                row = self.only(rows, name, no, what)
                if not row:
                    continue
                pid = e['pid']
                core, of_ids = cores.get(pid, {}), ids.get(pid) or cores.get(pid, {}).get('ids', {})
                told = {c: of_ids.get(f) for f, c in columns.items()}
                told |= {'comm': as_text(core['tc']['comm']) if core else None,
                         'state': core['tc']['task_state'] if core else None}
                self.message(what, row, e, consts=told)
                if of_ids:
                    self.of_netns(what, row, of_ids.get('net_ns_id'))
                theirs = {t: as_text(cores[t]['thread_core']['comm']) for t in e['threads'] if t != pid}
                ours = threads.pop((name, no), [])
                self.r.same(what + ' threads', {t['tid']: t['comm'] for t in ours}, theirs)
                self.r.same(what + ' task of its threads', {t['task'] for t in ours} - {row['id']}, set())
        self.all_found(rows, 'task')
        self.all_found(threads, 'thread')

    def sysctls(self, what, number, rows, message, device=''):
        theirs = []
        self.r.same(what + ' namespace of sysctls', {self.ns_id.get(s['netns']) for s in rows} - {number}, set())
        for field, folder in LISTS.items():
            for position, entry in enumerate(message.get(field, [])):
                value = entry.get('sarg', entry.get('iarg'))
                if value is None:
                    continue
                if isinstance(value, str):
                    value = as_text(value.removesuffix('\n'))
                theirs.append((folder.format(device) + self.names[field][position], str(value),
                               f'{field}[{position}]'))
        self.r.same(what + ' sysctls', sorted((s['name'], s['value'], s['path']) for s in rows), sorted(theirs))
        self.r.n += len(theirs)

    def namespaces(self):
        rows, ids, sysctls = self.rows('netns'), self.rows('nsid'), self.rows('sysctl')
        for name, number, entries in self.entries(r'netns-(\d+)\.img'):
            row = self.only(rows, name, 0, name)
            if not row:
                continue
            e = entries[0]
            kept = {k: v for k, v in e.items() if k not in LISTS and k not in ('nsids', 'def_conf', 'all_conf')}
            self.message(name, row, kept, consts={'ns_id': number, 'name': f'ns{number}', 'caller': 0,
                                                  'external': int('ext_key' in e)})
            theirs = [(n['target_ns_id'], n['netnsid_value']) for n in e.get('nsids', [])]
            ours = ids.pop((name, 0), [])
            self.r.same(name + ' nsids', [(self.ns_id[n['target']], n['value']) for n in ours], theirs)
            self.r.same(name + ' namespace of nsids', {self.ns_id[n['netns']] for n in ours} - {number}, set())
            self.sysctls(name, number, sysctls.pop((name, 0), []), e)
        self.all_found(rows, 'netns')
        self.all_found(ids, 'nsid')
        self.devices(sysctls)
        self.all_found(sysctls, 'sysctl')

    def devices(self, sysctls):
        rows = self.rows('device')
        nsids = {}
        for _, number, entries in self.entries(r'netns-(\d+)\.img'):
            nsids[number] = {n['target_ns_id']: n['netnsid_value'] for n in entries[0].get('nsids', [])}
        for name, number, entries in self.entries(r'netdev-(\d+)\.img'):
            for no, e in enumerate(entries):
                what = f'{name} {e["name"]}'
                row = self.only(rows, name, no, what)
                if not row:
                    continue
                # the kernel says that a device without a lower one has itself below
                if e.get('peer_ifindex') == e['ifindex'] and e.get('peer_nsid') == number:
                    e.pop('peer_ifindex'), e.pop('peer_nsid')
                peer = e.get('peer_nsid')
                consts = {'kind': {'EXTLINK': None}.get(e['type'], e['type'].lower()),
                          'link_netnsid': None if peer == number else nsids[number].get(peer)}
                self.message(what, row, e, DEVICE, consts, {'peer_netns'})
                self.r.same(what + ' namespace', self.ns_id[row['netns']], number)
                self.r.same(what + ' peer_nsid', self.ns_id.get(row['peer_netns']), peer)
                self.sysctls(what, number, sysctls.pop((name, no), []), e, e['name'])
        self.all_found(rows, 'device')

    def user_namespaces(self):
        rows = self.rows('userns')
        for name, number, entries in self.entries(r'userns-(\d+)\.img'):
            row = self.only(rows, name, 0, name)
            if row:
                self.message(name, row, entries[0], USERNS, {'ns_id': number, 'external': 0})
        self.all_found(rows, 'userns')

    def queues(self):
        streams, packets = self.rows('tcp_stream'), self.rows('socket_queue')
        for name, number, entries in self.entries(r'tcp-stream-([0-9a-f]+)\.img', 16):
            e = entries[0]
            row = self.only(streams, name, 0, name)
            extra = e.pop('extra', {})
            if row:
                self.message(name, row, e, consts={'ino': number})
            theirs = [(d, number, base64.b64decode(extra.get(k, ''))) for d, k in (('receive', 'inq'),
                                                                                  ('send', 'outq'))]
            self.r.same(name + ' queues', [(q['direction'], q['ino'], q['data']) for q in
                                           packets.pop((name, 0), [])], [t for t in theirs if t[2]])
        for name, _, entries in self.entries(r'sk-queues\.img'):
            for no, e in enumerate(entries):
                what = f'{name} {no}'
                row = self.only(packets, name, no, what)
                data = base64.b64decode(e.pop('extra', ''))
                rights = [r for s in e.get('scm', []) for r in s.get('rights', [])]
                if row:
                    self.message(what, row, e, QUEUE, {'direction': 'packet', 'data': data,
                                                       'rights': row['rights'] if rights else None})
                    if rights:
                        self.r.same(what + ' rights', json.loads(row['rights']), rights)
        self.all_found(streams, 'tcp_stream')
        self.all_found(packets, 'socket_queue')

    def offsets(self):
        """Where crit's records begin is where our rows say: entries follow each other, with a length before each."""
        for table in ('socket', 'fd', 'task', 'thread', 'netns', 'nsid', 'sysctl', 'device', 'userns', 'tcp_stream',
                      'socket_queue', 'tun_file', 'ns_file'):
            for r in self.db.execute(f'SELECT DISTINCT f.name, t.rec, t.off FROM {table} t JOIN image_file f ON f.id = '
                                     't.file WHERE t.image = ?', (self.image,)):
                data, at = self.files[r['name']], 8
                extra = [e['length'] for e in crit(data)] if r['name'].endswith('sk-queues.img') else None
                for no in range(r['rec']):
                    at += 4 + struct.unpack_from('<I', data, at)[0] + (extra[no] if extra else 0)
                self.r.same(f'{r["name"]} {r["rec"]} offset', r['off'], at)

    def kind(self, name):
        if os.path.isfile(self.source) and not name.startswith('checkpoint/'):
            return None, None
        for pattern, base, kind in self.kinds:
            m = pattern.fullmatch(name)
            if m:
                return kind, int(m[1], base) if m.groups() else None
        return None, None

    def file_rows(self):
        """What image_file says of every file."""
        rows = {r['name']: r for r in self.db.execute('SELECT * FROM image_file WHERE image = ?', (self.image,))}
        self.r.same('files', sorted(set(self.files) - set(rows)), [])
        for name, r in rows.items():
            data = self.files.get(name)
            if data is None:  # of an archive only the small ones were read
                self.r.same(name + ' is kept by reference', r['content'], None)
                continue
            self.r.same(name + ' kind', (r['kind'], r['number']), self.kind(name))
            self.r.same(name + ' size', r['size'], len(data))
            self.r.same(name + ' sha256', r['sha256'], hashlib.sha256(data).hexdigest())
            self.r.same(name + ' content', r['content'] in (None, data), True)
            self.r.same(name + ' damage', r['damage'], None)
            if os.path.isdir(self.source):
                self.r.same(name + ' mode', r['mode'], os.stat(os.path.join(self.source, name)).st_mode & 0o7777)
            if crit_knows(name.rsplit('/', 1)[-1], data) and r['n_records'] is not None:
                self.r.same(name + ' records', r['n_records'], len(crit(data)))
                self.r.same(name + ' unknown fields', r['n_unknown'], 0)

    def run(self):
        self.inventory()
        self.sockets()
        self.descriptors()
        self.tasks()
        self.namespaces()
        self.user_namespaces()
        self.queues()
        self.offsets()
        self.file_rows()
