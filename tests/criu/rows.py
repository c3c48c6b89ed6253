#!/usr/bin/python3
"""rows.py NSIMG DB CORPUS WORK: rows added and deleted, one in an image, exported.

What is expected is said here by the meaning of CRIU's files: which records come and go in which files. All else is
byte for byte as it was, crit decodes every file of a kind it knows, and finds in new records what the row says.
"""
import collections, difflib, os, re, shutil, sqlite3, struct, sys

import values_raw
from critlib import Report, crit, read_image
from edits import decode_all, export, records


def pieces(name, data):
    """A file as what comes and goes in it."""
    short = name.rsplit('/', 1)[-1]
    kind = re.match(r'(.*?)(-[0-9a-f]+)?(\.img|$)', short)[1]
    if kind in values_raw.KINDS:
        found = list(values_raw.messages(kind, data))
        ends = [at for at, _, _ in found][1:] + [len(data)]
        return [data[at:end] for (at, _, _), end in zip(found, ends)]
    if kind in ('files', 'fdinfo', 'netdev', 'netns', 'sk-queues', 'tcp-stream', 'pstree'):
        return [m + b'|' + extra for m, extra in records(kind, data)]
    return [data]


class Rows:
    def __init__(self, nsimg, path, corpus, work):
        self.nsimg, self.path, self.corpus, self.work = nsimg, path, corpus, work
        self.r, self.n, self.used = Report(), 0, set()
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.execute('PRAGMA synchronous = OFF')

    def pick(self, query):
        """The first row of an image that was not used yet; it gets an attribute of the query's columns."""
        for row in self.db.execute(query):
            if row['image'] not in self.used:
                self.used.add(row['image'])
                return row
        self.r.say(f'nothing to try it on: {query}')
        return None

    def edit(self, what, query, statements, gone=(), new=(), fresh=()):
        """gone, new: (file, how many records); both may be functions of the row. fresh: files that were not there."""
        row = self.pick(query)
        if not row:
            return None
        for statement in statements:
            self.db.execute(statement, dict(zip(row.keys(), tuple(row))))
        image = row['image']
        source = self.db.execute('SELECT source FROM image WHERE id = ?', (image,)).fetchone()[0]
        self.r.where = f'{os.path.relpath(source, os.path.realpath(self.corpus))}: {what}'
        after = export(self.nsimg, self.path, image, os.path.join(self.work, f'rows{image}'), self.r)
        if after is None:
            return None
        before = read_image(source)
        self.n += 1
        self.compare(before, after, dict(gone(row) if callable(gone) else gone),
                     dict(new(row) if callable(new) else new), set(fresh(row) if callable(fresh) else fresh))
        decode_all(self.r, after)
        return row, before, after

    def compare(self, before, after, gone, new, fresh):
        self.r.same('files that are new', set(after) - set(before), fresh)
        lost = set(before) - set(after)
        self.r.same('files that are gone', lost, {f for f, n in gone.items() if n == 'file'})
        for name in set(before) & set(after):
            if name not in gone and name not in new:
                self.r.same(name + ' bytes', after[name] == before[name], True)
                continue
            a, b = pieces(name, before[name]), pieces(name, after[name])
            n_gone = n_new = 0
            for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, False).get_opcodes():
                if tag != 'equal':
                    n_gone, n_new = n_gone + j - i, n_new + m - k
            self.r.same(name + ' records gone and new', (n_gone, n_new), (gone.get(name, 0), new.get(name, 0)))
            if not name.startswith('netns-ct-'):  # which has no magic
                self.r.same(name + ' head', after[name][:4], before[name][:4])


def netlink_rows(t):
    t.edit('an address more', 'SELECT * FROM address WHERE family = 2 AND ifindex = 1',
           ["INSERT INTO address (image, netns, ifindex, family, address, prefixlen, flags, valid_lft, preferred_lft) "
            "SELECT image, netns, 1, 2, '10.66.0.1', 24, 128, 4294967295, 4294967295 FROM address WHERE id = :id"],
           new=lambda r: {file_of(t, r): 1})
    t.edit('an IPv6 address more', 'SELECT * FROM address WHERE family = 10 AND ifindex = 1',
           ["INSERT INTO address (image, netns, ifindex, family, address, prefixlen, flags) "
            "SELECT image, netns, 1, 10, 'fd66::1', 64, 128 FROM address WHERE id = :id"],
           new=lambda r: {file_of(t, r): 1})
    t.edit('an address less', 'SELECT * FROM address WHERE family = 2', ['DELETE FROM address WHERE id = :id'],
           gone=lambda r: {file_of(t, r): 1})
    for family, dst, via in ((2, '10.66.0.0/16', '10.10.0.9'), (10, 'fd66::/32', 'fd00::9')):
        t.edit(f'a route more, family {family}', f'SELECT * FROM route WHERE family = {family} AND oif IS NOT NULL',
               ["INSERT INTO route (image, netns, family, dst, \"table\", type, protocol, scope, oif, gateway) SELECT "
                f"image, netns, family, '{dst}', 254, 1, 4, 0, oif, '{via}' FROM route WHERE id = :id"],
               new=lambda r: {file_of(t, r): 1})
        t.edit(f'a route less, family {family}', f'SELECT * FROM route WHERE family = {family}',
               ['DELETE FROM route WHERE id = :id'], gone=lambda r: {file_of(t, r): 1})
    t.edit('a rule more', 'SELECT * FROM rule WHERE priority = 32766',
           ["INSERT INTO rule (image, netns, family, priority, action, \"table\", src) SELECT image, netns, 2, 77, 1, "
            "254, '10.66.0.0/24' FROM rule WHERE id = :id"], new=lambda r: {file_of(t, r): 1})
    t.edit('a rule less', 'SELECT * FROM rule WHERE priority = 32767', ['DELETE FROM rule WHERE id = :id'],
           gone=lambda r: {file_of(t, r): 1})
    t.edit('a neighbour more, which CRIU has no image for', 'SELECT d.* FROM device d WHERE d.kind = "veth"',
           ["INSERT INTO neighbour (image, netns, ifindex, family, dst, lladdr, state) VALUES (:image, :netns, "
            ":ifindex, 2, '10.66.0.7', '02:00:00:00:00:07', 128)"],
           fresh=lambda r: {f'nsimg-rtnl-{ns_id(t, r)}.img'})
    t.edit('a sysctl more, which CRIU has no field for', 'SELECT * FROM netns WHERE NOT external',
           ["INSERT INTO sysctl (image, netns, name, value) VALUES (:image, :id, 'net/ipv4/tcp_sack', '0')"],
           fresh=lambda r: {f'nsimg-sysctl-{r["ns_id"]}.img'})
    t.edit('a namespace id less', 'SELECT * FROM nsid', ['DELETE FROM nsid WHERE id = :id'],
           gone=lambda r: {file_of(t, r): 1}, new=lambda r: {file_of(t, r): 1})


def file_of(t, row):
    return t.db.execute('SELECT name FROM image_file WHERE id = ?', (row['file'],)).fetchone()[0]


def ns_id(t, row):
    return t.db.execute('SELECT ns_id FROM netns WHERE id = ?', (row['netns'],)).fetchone()[0]


def gone_with_socket(t):
    """What goes with a socket: its record, its descriptors, its queues; from crit's reading of the files before."""
    def gone(row):
        source = t.db.execute('SELECT source FROM image WHERE id = ?', (row['image'],)).fetchone()[0]
        out = collections.Counter({file_of(t, row): 1})
        for name, data in read_image(source).items():
            short = name.rsplit('/', 1)[-1]
            if short.startswith('fdinfo-'):
                out[name] += sum(e['id'] == row['file_id'] for e in crit(data))
            elif short == 'sk-queues.img':
                out[name] += sum(e['id_for'] == row['file_id'] for e in crit(data))
            elif short == f'tcp-stream-{row["ino"] or 0:x}.img':
                out[name] = 'file'
        return {k: v for k, v in out.items() if v}
    return gone


def rare_rows(t):
    columns = ('family', 'proto', 'src', 'dst', 'sport', 'dport', 'reply_src', 'reply_dst', 'reply_sport', 'reply_dport',
               'status', 'timeout', 'mark')
    values = (2, 17, '10.66.0.1', '10.66.0.2', 4000, 53, '10.66.0.2', '10.66.0.1', 53, 4000, 14, 30, 7)
    # the reply has a number of the protocol of its own
    found = t.edit('a connection more', 'SELECT * FROM conntrack WHERE NOT expect',
                   [f'INSERT INTO conntrack (image, netns, other, {", ".join(columns)}) VALUES (:image, :netns, '
                    """'{"tuple_reply":{"proto":{"num":17}}}', """ + ', '.join(map(repr, values)) + ')'], new=lambda r: {file_of(t, r): 1})
    if found:
        row, before, after = found
        name = file_of(t, row)
        old = pieces(name, before[name])
        new = [p for p in pieces(name, after[name]) if p not in old]
        read = values_raw.conntrack(new[-1][16:])[0]
        t.r.same('the new connection', {c: read[c] for c in columns}, dict(zip(columns, values)))
    t.edit('a connection less', 'SELECT * FROM conntrack WHERE NOT expect', ['DELETE FROM conntrack WHERE id = :id'],
           gone=lambda r: {file_of(t, r): 1})
    t.edit('a socket of two descriptors less', 'SELECT s.* FROM socket s WHERE (SELECT count(*) FROM fd WHERE '
           'fd.image = s.image AND fd.file_id = s.file_id) > 1', ['DELETE FROM socket WHERE id = :id'],
           gone=gone_with_socket(t))
    t.edit('a tun descriptor less', 'SELECT * FROM tun_file', ['DELETE FROM tun_file WHERE id = :id'],
           gone=lambda r: {file_of(t, r): 1})


def socket_rows(t):
    drop = ['DELETE FROM socket WHERE id = :id']
    for what, where in (
            ('a listener less', 'SELECT s.* FROM socket s WHERE state = 10 AND family = 2'),
            ('an IPv6 listener less', 'SELECT s.* FROM socket s WHERE state = 10 AND family = 10'),
            ('a connection with its stream less', 'SELECT s.* FROM socket s JOIN tcp_stream t ON t.image = s.image AND '
             't.ino = s.ino WHERE t.inq_len > 0'),
            ('a socket with packets less', 'SELECT s.* FROM socket s JOIN socket_queue q ON q.image = s.image AND '
             'q.file_id = s.file_id'),
            ('a netlink socket less', 'SELECT s.* FROM socket s WHERE family = 16'),
            ('a packet socket less', 'SELECT s.* FROM socket s WHERE family = 17'),
            ('a unix socket less', "SELECT s.* FROM socket s JOIN unix_socket u ON u.socket = s.id WHERE u.peer = 0")):
        t.edit(what, where, drop, gone=gone_with_socket(t))
    t.edit('a descriptor less', 'SELECT * FROM fd WHERE type = 4', ['DELETE FROM fd WHERE id = :id'],
           gone=lambda r: {file_of(t, r): 1})
    found = t.edit('a descriptor more', 'SELECT * FROM fd WHERE type = 5',
                   ['INSERT INTO fd (image, files_id, fd, file_id, type, flags) VALUES (:image, :files_id, 77, '
                    ':file_id, :type, 1)'], new=lambda r: {file_of(t, r): 1})
    if found:
        row, _, after = found
        last = crit(after[file_of(t, row)])[-1]
        t.r.same('the new descriptor', last, {'id': row['file_id'], 'flags': 1, 'type': 'UNIXSK', 'fd': 77})
    found = t.edit('a socket more', 'SELECT s.*, i.* FROM socket s JOIN inet_socket i ON i.socket = s.id WHERE state = '
                   '10 AND family = 2',
                   ["INSERT INTO socket (id, image, file_id, ino, ns_id, netns, family, type, protocol, state, flags, "
                    "so_sndbuf, so_rcvbuf) VALUES (900000, :image, 9999, 4711, :ns_id, :netns, 2, 1, 6, 10, 2, 4096, "
                    "8192)",
                    # what CRIU requires of options besides
                    "UPDATE socket SET (so_snd_tmo_sec, so_snd_tmo_usec, so_rcv_tmo_sec, so_rcv_tmo_usec) = "
                    "(0, 0, 0, 0) WHERE id = 900000",
                    "INSERT INTO inet_socket (socket, src, src_port, dst, dst_port, backlog) VALUES (900000, "
                    "'10.66.0.1', 6666, '0.0.0.0', 0, 5)",
                    "INSERT INTO fd (image, files_id, fd, file_id, type) SELECT image, files_id, 99, 9999, 4 FROM fd "
                    "WHERE image = :image AND file_id = :file_id LIMIT 1"],
                   new=lambda r: {file_of(t, r): 1} | {t.db.execute(
                       'SELECT f.name FROM fd JOIN image_file f ON f.id = fd.file WHERE fd.image = ? AND file_id = ?',
                       (r['image'], r['file_id'])).fetchone()[0]: 1})
    if found:
        row, _, after = found
        last = crit(after[file_of(t, row)])[-1]
        sk = last['isk']
        t.r.same('the new socket', (last['type'], last['id'], sk['ino'], sk['src_port'], sk['src_addr'], sk['backlog'],
                                    sk['opts']['so_rcvbuf'], sk['state']),
                 ('INETSK', 9999, 4711, 6666, list(struct.unpack('=I', bytes((10, 66, 0, 1)))), 5, 8192, 10))
    t.edit('other bytes in a queue', "SELECT * FROM socket_queue WHERE direction = 'packet' AND length > 3",
           ["UPDATE socket_queue SET data = x'4142', length = 2 WHERE id = :id"],
           gone=lambda r: {file_of(t, r): 1}, new=lambda r: {file_of(t, r): 1})
    t.edit('a packet less', "SELECT * FROM socket_queue WHERE direction = 'packet'",
           ['DELETE FROM socket_queue WHERE id = :id'], gone=lambda r: {file_of(t, r): 1})


def main(nsimg, source, corpus, work):
    path = os.path.join(work, 'rows.db')
    shutil.copy(source, path)
    t = Rows(nsimg, path, corpus, work)
    # what few images have first
    rare_rows(t)
    socket_rows(t)
    netlink_rows(t)
    return t.r.end(f'{t.n} images with other rows')


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
