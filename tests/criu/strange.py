#!/usr/bin/python3
"""strange.py NSIMG CORPUS WORK: what nobody knows survives edits of the record that it is in.

Each record of a copy of scenario/nested-veth gets a field more, and each netlink message an attribute. All rows of
seven tables are edited; in what is exported all of it is still there, and the values are the new ones.
"""
import os, re, sqlite3, struct, subprocess, sys

import values_raw
from critlib import Report, crit, read_image
from edits import records
from pbwire import field, fields

TAG = b'of a CRIU to come'
ATTRIBUTE = struct.pack('=HH', 4 + 20, 0x2ff0) + TAG + bytes(3)


def grow(kind, data):
    """The file with something more in each record."""
    if kind in values_raw.KINDS:
        out = data[:4] if kind in values_raw.MAGIC else b''
        for at, nl_type, payload in values_raw.messages(kind, data):
            body = payload + bytes(-len(payload) % 4) + ATTRIBUTE
            out += struct.pack('=IH', 16 + len(body), nl_type) + data[at + 6:at + 16] + body
        return out
    out = data[:8]
    for message, extra in records(kind, data):
        if kind == 'files':  # inside the socket: its last field
            *before, (number, _, content, _) = fields(message)
            if number in (4, 6, 7, 16):
                message = b''.join(raw for *_, raw in before) + field(number, content + field(60000, TAG))
        message += field(60001, TAG)
        out += struct.pack('<I', len(message)) + message + extra
    return out


EDITS = {
    'ifaddr': "UPDATE address SET preferred_lft = 1000, valid_lft = 2000",
    'route': "UPDATE route SET priority = coalesce(priority, 0) + 7, protocol = 4",
    'rule': "UPDATE rule SET fwmark = 99",
    'netns-ct': "UPDATE conntrack SET mark = 5 WHERE NOT expect",
    'files': "UPDATE socket SET so_mark = 123, so_priority = 3",
    'fdinfo': "UPDATE fd SET flags = 1 - flags",
    'netdev': "UPDATE device SET mtu = 1234",
}


def main(nsimg, corpus, work):
    r = Report()
    r.where = 'scenario/nested-veth'
    source, made = os.path.join(corpus, 'scenario/nested-veth'), os.path.join(work, 'strange')
    os.mkdir(made)
    before = {}
    for name, data in read_image(source).items():
        m = re.fullmatch(r'(.*?)(6?)(-\d+)?\.img', name)
        if m and m[1] in EDITS:
            data = grow(m[1], data)
        before[name] = data
        open(os.path.join(made, name), 'wb').write(data)
    db, out = os.path.join(work, 'strange.db'), os.path.join(work, 'strange.out')
    subprocess.run([nsimg, 'import', db, made], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([nsimg, 'export', db, out + '0'], check=True)
    r.same('not edited', read_image(out + '0') == before, True)
    c = sqlite3.connect(db)
    for statement in EDITS.values():
        c.execute(statement)
    c.commit()
    subprocess.run([nsimg, 'export', db, out], check=True)
    after = read_image(out)
    r.same('files', sorted(after), sorted(before))
    for name, data in after.items():
        m = re.fullmatch(r'(.*?)(6?)(-\d+)?\.img', name)
        if not m or m[1] not in EDITS:
            continue
        r.same(name + ' strange parts', data.count(TAG), before[name].count(TAG))
        if m[1] in values_raw.KINDS:
            for (_, _, old), (_, _, new) in zip(values_raw.messages(m[1], before[name]), values_raw.messages(m[1], data)):
                # new attributes come behind it, changed ones stay where they were
                r.same(name + ' attribute', ATTRIBUTE in new, True)
                r.same(name + ' was edited', new == old, False)
                told, _ = values_raw.KINDS[m[1]][1](new)
                for column, value in {'ifaddr': {'preferred_lft': 1000, 'valid_lft': 2000}, 'route': {'protocol': 4},
                                      'rule': {'fwmark': 99}, 'netns-ct': {'mark': 5}}[m[1]].items():
                    r.same(f'{name} {column}', told[column], value)
            continue
        for e in crit(data):
            for part in ('isk', 'usk', 'nlsk', 'psk'):
                if part in e:
                    r.same(f'{name} {e["id"]}', (e[part]['opts']['so_mark'], e[part]['opts']['so_priority']), (123, 3))
            if m[1] == 'netdev':
                r.same(f'{name} mtu', e['mtu'], 1234)
    return r.end('strange records')


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
