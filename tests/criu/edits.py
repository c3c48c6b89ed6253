#!/usr/bin/python3
"""edits.py NSIMG DB CORPUS WORK: one edit of every column that comes from a record, all over the corpus, exported.

DB holds the corpus; a copy of it is edited by Python's sqlite3, each column of each table in some record of its
own: changed, and where it may be NULL cleared, and set where it was NULL. Then rows are deleted and added. Each
image with edits is exported. Read here, at the level of protobuf fields and netlink attributes: files without
edits are as they were, records without edits too, and an edited record differs in the field of the column alone.
crit decodes every file of a kind it knows, and finds the new value.
"""
import collections, json, os, random, re, shutil, sqlite3, struct, subprocess, sys

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import values_raw
from pbwire import fields
from critlib import Report, crit, crit_knows, pycriu, read_image
from values_crit import DEVICE, FD, INET, KEPT, NETLINK, NS_FILE, PACKET, PARTS, TUN, UNIX

pb = pycriu.images.pb

# ---- protobuf, on the wire ----


def parts(message):
    """(number, all bytes of the field, its content when it has a length)"""
    return [(number, raw, value if kind == 2 else None) for number, kind, value, raw in fields(message)]


def differing(desc, a, b, prefix=''):
    """Paths of the fields in which two messages differ; each says that all around it is the same, in order."""
    x, y = parts(a), parts(b)
    while x and y and x[0][:2] == y[0][:2]:
        x.pop(0), y.pop(0)
    while x and y and x[-1][:2] == y[-1][:2]:
        x.pop(), y.pop()
    if len(x) == len(y) == 1 and x[0][0] == y[0][0]:
        field = desc.fields_by_number.get(x[0][0])
        if field and field.message_type:
            return differing(field.message_type, x[0][2], y[0][2], f'{prefix}{field.name}.')
    names = {n: desc.fields_by_number[n].name if n in desc.fields_by_number else str(n) for n, _, _ in x + y}
    return sorted({prefix + names[n] for n, _, _ in x + y})


def records(name, data):
    """[(message, what follows it)]"""
    out, at = [], 8
    lengths = [e['length'] for e in crit(data)] if name.startswith('sk-queues') else None
    while at < len(data):
        n, = struct.unpack_from('<I', data, at)
        end = at + 4 + n
        extra = lengths[len(out)] if lengths else len(data) - end if name.startswith('tcp-stream') else 0
        out.append((data[at + 4:end], data[end:end + extra]))
        at = end + extra
    return out


def netlink(kind, data):
    """[(fixed part, [(type, bytes)])]"""
    head = {'ifaddr': 8, 'netns-ct': 4, 'netns-exp': 4}.get(kind, 12)
    out = []
    for at, nl_type, payload in values_raw.messages(kind, data):
        attributes, p = [], head
        while p + 4 <= len(payload):
            size, number = struct.unpack_from('=HH', payload, p)
            if size < 4:
                break
            attributes.append((number & 0x3fff, payload[p:p + size]))
            p += size + 3 & ~3
        # port and sequence number too: of an added message they are ours
        out.append((nl_type, data[at + 6:at + 16], payload[:head], attributes))
    return out


# ---- columns and fields ----

MESSAGES = {  # table: [(family table or None, file, part, message, special)]
    'socket': [(family, 'files.img', part, part, special) for part, (family, special, _) in PARTS.items()],
    'tun_file': [(None, 'files.img', 'tunf', 'tunf', TUN)],
    'ns_file': [(None, 'files.img', 'nsf', 'nsf', NS_FILE)],
    'fd': [(None, 'fdinfo', '', 'fdinfo_entry', FD)],
    'device': [(None, 'netdev', '', 'net_device_entry', DEVICE)],
    'tcp_stream': [(None, 'tcp-stream', '', 'tcp_stream_entry', {})],
    'task': [(None, 'pstree.img', '', 'pstree_entry', {})],
}
# Identity: changing it moves rows, is refused, or takes others along; other tests do that.
NOT_EDITED = {'id', 'file_id', 'ifindex', 'name', 'ns_id', 'ino', 'pid', 'files_id', 'attrs', 'nd_type', 'link',
              'family', 'inq_len', 'outq_len', 'groups', 'threads', 'type', 'fown', 'cflag', 'so_bound_dev', 'ifname',
              'netdev', 'mclist', 'rx_ring', 'tx_ring', 'protocol', 'fd'}
# column of a raw image: the attributes that may say it, beside the fixed part
ATTRIBUTES = {
    'address': {'address': {1, 2}, 'broadcast': {4}, 'label': {3}, 'flags': {8}, 'scope': set(), 'prefixlen': set(),
                'valid_lft': {6}, 'preferred_lft': {6}, 'metric': {9}, 'proto': {11}},
    'route': {'dst': {1}, 'table': {15}, 'protocol': set(), 'scope': set(), 'tos': set(), 'type': set(),
              'priority': {6}, 'gateway': {5}, 'prefsrc': {7}, 'metrics': {8}, 'pref': {20}},
    'rule': {'priority': {6}, 'table': {15}, 'src': {2}, 'dst': {1}, 'fwmark': {10}, 'fwmask': {16}, 'iif': {3},
             'oif': {17}, 'tos': set(), 'ipproto': {22}, 'sport': {23}, 'dport': {24}, 'uidrange': {20},
             'protocol': {21}, 'suppress_prefixlength': {14}},
    'conntrack': {'src': {1}, 'dst': {1}, 'reply_src': {2}, 'reply_dst': {2}, 'sport': {1}, 'reply_dport': {2},
                  'mark': {8}, 'timeout': {7}, 'status': {3}},
}
# An address in a prefix, a range: what it may become, by what it is.
TEXT = {'address': ('10.99.0.7', 'fd99::7'), 'broadcast': ('10.99.0.255', None), 'dst': ('10.99.7.0/24', 'fd99:7::/64'),
        'src': ('10.98.0.0/16', 'fd98::/32'), 'gateway': ('10.99.0.1', 'fd99::1'), 'prefsrc': ('10.99.0.2', 'fd99::2'),
        'reply_src': ('10.99.0.3', 'fd99::3'), 'reply_dst': ('10.99.0.4', 'fd99::4'), 'sport': ('80-90', '80-90'),
        'dport': ('7', '7'), 'uidrange': ('0-1000', '0-1000'), 'metrics': ('{"mtu":1234}', '{"mtu":1444}'),
        'label': ('lo:test', None), 'iif': ('lo', 'lo'), 'oif': ('lo', 'lo')}


def leaf_columns(desc, special, prefix=''):
    """column -> (path, how)"""
    out = {}
    for f in desc.fields:
        path = prefix + f.name
        if path in special:
            out[special[path][0]] = (path, special[path][1])
        elif f.message_type and f.label != f.LABEL_REPEATED and f.name not in KEPT:
            out |= leaf_columns(f.message_type, special, path + '.')
        elif not f.message_type and f.name not in KEPT:
            out[f.name] = (path, None)
    return out


def message_of(part, name):
    if part:
        return pb.file_entry.DESCRIPTOR.fields_by_name[part].message_type
    return getattr(pb, name).DESCRIPTOR


def lookup(entry, path):
    for key in path.split('.'):
        entry = entry.get(key) if isinstance(entry, dict) else None
    return entry


Edit = collections.namedtuple('Edit', 'table column file rec value path how')


class Editor:
    def __init__(self, db, report):
        self.db, self.r = db, report
        self.used, self.edits, self.log = set(), collections.defaultdict(list), 0
        self.refused = collections.Counter()

    def candidates(self, table, family, pattern, where):
        join = f' JOIN {family} j ON j.socket = t.id' if family else ''
        rows = self.db.execute(f'SELECT t.image, t.id, t.rec, f.name FROM {table} t JOIN image_file f ON f.id = t.file'
                               f'{join} WHERE f.name LIKE ? AND {where} ORDER BY t.id', (f'%{pattern}%',)).fetchall()
        random.Random(7).shuffle(rows)
        # several edits in an image, in records of their own, so that fewer images are exported
        return sorted(rows, key=lambda r: (len(self.edits[r[0]]) >= 8, not self.edits[r[0]]))

    def change(self, statement, values):
        """Run it; is it one row in the log?"""
        self.db.execute('SAVEPOINT one')
        try:
            self.db.execute(statement, values)
        except sqlite3.IntegrityError as e:
            self.refused[str(e)] += 1
            self.db.execute('ROLLBACK TO one')
            return False
        n = self.db.execute('SELECT count(*) FROM edit_log').fetchone()[0]
        if n != self.log + 1:
            self.db.execute('ROLLBACK TO one')
            return False
        self.log = n
        return True

    def one(self, table, family, in_table, column, pattern, path, how, mode, make):
        alias = 'j' if in_table == family else 't'
        where = f'{alias}."{column}" IS {"NULL" if mode == "set" else "NOT NULL"}'
        for image, row, rec, name in self.candidates(table, family, pattern, where)[:60]:
            if (image, name, rec) in self.used:
                continue
            key = 'socket' if in_table == family else 'id'
            old = self.db.execute(f'SELECT "{column}" FROM {in_table} WHERE {key} = ?', (row,)).fetchone()[0]
            value = None if mode == 'clear' else make(old, row)
            if value == old or not self.change(f'UPDATE {in_table} SET "{column}" = ? WHERE {key} = ?', (value, row)):
                continue
            self.used.add((image, name, rec))
            self.edits[image].append(Edit(table, column, name, rec, value, path, how))
            return True
        return False

    def messages(self):
        for table, kinds in MESSAGES.items():
            for family, pattern, part, message, special in kinds:
                desc = message_of(part, message)
                for column, (path, how) in leaf_columns(desc, special).items():
                    if column in NOT_EDITED:
                        continue
                    self.column(table, family, column, pattern, desc, (part + '.' if part else '') + path, how)

    def column(self, table, family, column, pattern, desc, path, how):
        info = {t: {r[1]: r for r in self.db.execute(f'PRAGMA table_info({t})')} for t in (family, table) if t}
        in_table = next((t for t in info if column in info[t]), None)
        if not in_table:
            return
        field, leaf = desc, path.split('.')[1:] if '.' in path and desc.full_name != 'net_device_entry' else [path]
        for key in leaf:
            field = (field.message_type if hasattr(field, 'message_type') and field.message_type else
                     field).fields_by_name[key]
        make = self.value(column, info[in_table][column][2], field)
        is_optional = field.label == field.LABEL_OPTIONAL and not info[in_table][column][3]
        for mode in ['change'] + (['clear', 'set'] if is_optional else []):
            self.one(table, family, in_table, column, pattern, path, how, mode, make)

    @staticmethod
    def value(column, kind, field):
        if column in ('src', 'dst'):
            return lambda old, _: '10.9.8.7' if old and ':' not in old else 'fd00::9'
        if column == 'address':
            return lambda *_: '02:00:00:00:99:01'
        if column == 'so_filter':
            return lambda old, _: bytes([0x06, 0, 0, 0, 0xff, 0xff, 0, 0]) + (old or b'')
        if column == 'icmpv_filter':
            return lambda *_: '[1,2]'
        if kind == 'TEXT':
            return lambda *_: 'changed'
        if field.type == field.TYPE_BOOL:
            return lambda old, _: 1 - (old or 0)
        if column == 'shutdown':
            return lambda old, _: 3 if old != 3 else 1
        return lambda old, _: (old or 0) + 1

    def raw(self):
        patterns = {'address': 'ifaddr-', 'route': 'route', 'rule': 'rule-', 'conntrack': 'netns-ct-'}
        for table, columns in ATTRIBUTES.items():
            info = {r[1]: r for r in self.db.execute(f'PRAGMA table_info({table})')}
            for column, attributes in columns.items():
                def make(old, row, column=column, table=table):
                    family = self.db.execute(f'SELECT family FROM {table} WHERE id = ?', (row,)).fetchone()[0]
                    if column in TEXT and not (table == 'conntrack' and column == 'sport'):
                        text = TEXT[column][family == 10]
                        return text.split('/')[0] if table == 'conntrack' and text else text
                    return old - 1 if old else 1
                for mode in ['change'] + ([] if info[column][3] else ['clear', 'set']):
                    # what then is read is the table of the fixed part, or nothing at all
                    if mode == 'clear' and (table, column) in {('address', 'address'), ('rule', 'table')}:
                        continue
                    self.one(table, None, table, column, patterns[table], attributes, None, mode, make)


# ---- what came out ----

class Checker:
    def __init__(self, report, before, after, edits):
        self.r, self.before, self.after = report, before, after
        self.edits = collections.defaultdict(dict)
        for e in edits:
            self.edits[e.file][e.rec] = e

    def run(self):
        self.r.same('files', sorted(self.after), sorted(self.before))
        for name, data in self.after.items():
            short = name.rsplit('/', 1)[-1]
            if name not in self.edits:
                self.r.same(name + ' bytes', data == self.before.get(name), True)
                continue
            kind = re.match(r'(.*?)(-[0-9a-f]+)?\.img', short)[1]
            (self.netlink if kind in values_raw.KINDS else self.protobuf)(kind, name, self.before[name], data)

    def netlink(self, kind, name, old, new):
        a, b = netlink(kind, old), netlink(kind, new)
        self.r.same(name + ' messages', len(b), len(a))
        payloads = [p for _, _, p in values_raw.messages(kind, new)]
        for no, (x, y) in enumerate(zip(a, b)):
            e = self.edits[name].get(no)
            if not e:
                self.r.same(f'{name} message {no}', y, x)
                continue
            what = f'{name} message {no} with another {e.column}'
            self.r.same(what + ' head', y[:2], x[:2])
            self.r.same(what + ' other attributes', [t for t in y[3] if t[0] not in e.path],
                        [t for t in x[3] if t[0] not in e.path])
            told, _ = values_raw.KINDS[kind][1](payloads[no])
            theirs = told[e.column]
            self.r.same(what + ' value', json.loads(e.value) if isinstance(theirs, tuple) and e.value else e.value,
                        theirs[1] if isinstance(theirs, tuple) else theirs)

    def protobuf(self, kind, name, old, new):
        a, b = records(kind, old), records(kind, new)
        self.r.same(name + ' magic', new[:8], old[:8])
        self.r.same(name + ' records', len(b), len(a))
        entries = crit(new)
        top = {'files': 'file_entry', 'fdinfo': 'fdinfo_entry', 'netdev': 'net_device_entry', 'pstree': 'pstree_entry',
               'tcp-stream': 'tcp_stream_entry'}[kind]
        for no, (x, y) in enumerate(zip(a, b)):
            e = self.edits[name].get(no)
            if not e:
                self.r.same(f'{name} record {no}', y, x)
                continue
            what = f'{name} record {no} with another {e.column}'
            self.r.same(what + ' extra', y[1], x[1])
            found = differing(getattr(pb, top).DESCRIPTOR, x[0], y[0])
            # a part that was not there, or has no field left, comes and goes as a whole
            self.r.same(what + ' fields', len(found) == 1 and (e.path + '.').startswith(found[0] + '.'), True)
            if found and not (e.path + '.').startswith(found[0] + '.'):
                self.r.say(f'{what}: {found}')
            theirs = lookup(entries[no], e.path)
            if theirs is not None and e.how:
                theirs = e.how(theirs)
                theirs = theirs[1] if isinstance(theirs, tuple) else theirs
            value = json.loads(e.value) if isinstance(e.value, str) and e.value[:1] == '[' else e.value
            if not (value is None and theirs == []):
                self.r.same(what + ' value', int(theirs) if isinstance(theirs, bool) else theirs, value)


def decode_all(r, files):
    n = 0
    for name, data in files.items():
        if crit_knows(name.rsplit('/', 1)[-1], data):
            crit(data)
            n += 1
    r.n += n
    return n


def export(nsimg, db, image, out, r):
    p = subprocess.run([nsimg, 'export', '--force', '--image', str(image), db, out], capture_output=True, text=True)
    if p.returncode:
        r.say(f'export: {p.stderr}')
        return None
    files = read_image(out)
    shutil.rmtree(out)
    return files


def main(nsimg, source, corpus, work):
    path = os.path.join(work, 'edited.db')
    shutil.copy(source, path)
    db, r = sqlite3.connect(path, isolation_level=None), Report()
    db.execute('PRAGMA synchronous = OFF')
    editor = Editor(db, r)
    db.execute('BEGIN')
    editor.messages()
    editor.raw()
    db.execute('COMMIT')
    n = sum(map(len, editor.edits.values()))
    n_images = 0
    for image, edits in editor.edits.items():
        if not edits:
            continue
        n_images += 1
        name, kind = db.execute('SELECT source, source_kind FROM image WHERE id = ?', (image,)).fetchone()
        r.where = os.path.relpath(name, os.path.realpath(corpus))
        files = export(nsimg, path, image, os.path.join(work, f'out{image}'), r)
        if files is None:
            continue
        before = read_image(name)
        if kind == 'archive':
            files = {k: v for k, v in files.items() if k in before}
        Checker(r, before, files, edits).run()
        decode_all(r, files)
    print(f'{n} edits in {n_images} images')
    for text, count in editor.refused.most_common() if '-v' in sys.argv else ():
        print('refused', count, text)
    columns = collections.Counter((e.table, e.column) for es in editor.edits.values() for e in es)
    if '-v' in sys.argv:
        print(columns)
    return r.end(f'{n} edits')


if __name__ == '__main__':
    sys.exit(main(*[a for a in sys.argv[1:] if a != '-v']))
