#!/usr/bin/python3
"""old_layout.py old|unknown NSIMG IMAGE_DIR WORK_DIR: an image in a layout that no sample is left of.

old:      as CRIU wrote it before files.img and conf4 were there: files without the common magic (v1.0), sockets,
          tun files and descriptors of namespaces in files of their own, sysctls of devices as plain numbers.
unknown:  as a CRIU to come might: a field more in each record of a socket and of netdev-N.img, a kind of
          descriptor, a device and files that nobody knows.

Debian's crit (pycriu) reads what was made and must find the same records in it. Then nsimg imports both, the
rows must be the same, and the export of the second must be its files, byte for byte. A difference a line, exit
status 1 when there are any; the last line says how much was compared.
"""
import collections, filecmp, glob, os, shutil, sqlite3, struct, subprocess, sys

import pycriu

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from pbwire import field, fields

COMMON, SERVICE = 0x54564319, 0x55105940
# field of file_entry: file, magic, what crit calls the part
PARTS = {3: ('reg-files', 0x50363636, 'reg'), 4: ('inetsk', 0x56443851, 'isk'), 5: ('ns-files', 0x61394011, 'nsf'),
         6: ('packetsk', 0x60454618, 'psk'), 7: ('netlinksk', 0x58005614, 'nlsk'), 11: ('tunfile', 0x57143751, 'tunf'),
         16: ('unixsk', 0x54373943, 'usk')}
SOCKETS = (4, 6, 7, 16)
# message: fields of SysctlEntry lists and of the lists of numbers before them
CONF = {'netdev': {9: 8}, 'netns': {3: 1, 4: 2}}
SYSCTL_INT = 2  # field of a number
UNKNOWN_FIELD = 60000
# not of the user's state, or told by the names of the files
NOT_COMPARED = {'image', 'image_fact', 'image_file', 'image_member', 'note', 'edit_op', 'edit_log', 'edit_state'}
NOT_COLUMNS = {'id', 'image', 'file', 'rec', 'off', 'path', 'socket'}
FAMILY_TABLES = ('inet_socket', 'unix_socket', 'netlink_socket', 'packet_socket')


# ---- files ----

def entries(data):
    at = 8
    while at < len(data):
        n, = struct.unpack_from('<I', data, at)
        yield data[at + 4:at + 4 + n]
        at += 4 + n


def entry(msg):
    return struct.pack('<I', len(msg)) + msg


# ---- an image in the old layout ----

def numbers(msg, lists):
    """A list of SysctlEntry as a list of numbers; -1 is what CRIU wrote where there was nothing."""
    out = b''
    for number, _, value, raw in fields(msg):
        if number in lists:
            found = [v for n, _, v, _ in fields(value) if n == SYSCTL_INT]
            raw = field(lists[number], found[0] if found else -1)
        out += raw
    return out


def split_files(data):
    """files.img: what goes to a file of its own, and what stays."""
    apart, stay = collections.defaultdict(bytes), b''
    for msg in entries(data):
        part = [(n, v) for n, _, v, _ in fields(msg) if n in PARTS]
        if part:
            apart[part[0][0]] += entry(part[0][1])
        else:
            stay += entry(msg)
    return apart, stay


def make_old(source, target):
    for path in glob.glob(source + '/*'):
        name = os.path.basename(path)
        data = open(path, 'rb').read()
        kind = name.split('-')[0].removesuffix('.img')
        magic = struct.unpack_from('<I', data)[0] if len(data) >= 8 else 0
        if name == 'files.img':
            apart, stay = split_files(data)
            for number, content in apart.items():
                stem, own, _ = PARTS[number]
                open(f'{target}/{stem}.img', 'wb').write(struct.pack('<I', own) + content)
            if not stay:
                continue
            data = data[:8] + stay
        if kind in CONF and magic == COMMON:
            data = data[:8] + b''.join(entry(numbers(m, CONF[kind])) for m in entries(data))
        if name == 'inventory.img':
            msg = data[8:]  # magic, length
            data = data[:8] + b''.join(field(1, 1) if n == 1 else raw for n, _, _, raw in fields(msg))
        elif magic in (COMMON, SERVICE):
            data = data[4:]
        open(f'{target}/{name}', 'wb').write(data)


# ---- an image of a CRIU to come ----

def make_unknown(source, target):
    """How many fields were added, by file."""
    added = collections.Counter()
    more = field(UNKNOWN_FIELD, b'of a CRIU to come')
    for path in glob.glob(source + '/*'):
        name = os.path.basename(path)
        data = open(path, 'rb').read()
        if name == 'files.img':
            out = b''
            for msg in entries(data):
                sockets = [n for n, _, _, _ in fields(msg) if n in SOCKETS]
                added[name] += len(sockets)
                out += entry(b''.join(field(n, v + more) if n in SOCKETS else raw for n, _, v, raw in fields(msg)))
            data = data[:8] + out + entry(field(1, 99) + field(2, 0x7fff0001) + field(77, b'what is this'))
        elif name.startswith('netdev-'):
            added[name] += sum(1 for _ in entries(data))
            data = data[:8] + b''.join(entry(m + more) for m in entries(data))
        open(f'{target}/{name}', 'wb').write(data)
    open(f'{target}/hologram-7.img', 'wb').write(struct.pack('<II', COMMON, 0x12345678) + entry(field(1, 5)))
    open(f'{target}/notes.txt', 'w').write('not an image at all\n')
    return added


# ---- what others say ----

def crit(path):
    with open(path, 'rb') as f:
        return pycriu.images.load(f, False)['entries']


def check_crit(source, made, say):
    """Records that crit finds in the separate files are those it found in files.img."""
    n = 0
    together = crit(source + '/files.img')
    for stem, _, part in PARTS.values():
        before = [e[part] for e in together if part in e]
        path = f'{made}/{stem}.img'
        after = crit(path) if os.path.exists(path) else []
        n += len(before)
        if before != after:
            say(f'crit: {stem}.img has {len(after)} records, not the {len(before)} of files.img')
    for path in glob.glob(source + '/netdev-*.img'):
        name = os.path.basename(path)
        for old, new in zip(crit(f'{made}/{name}'), crit(path)):
            n += 1
            want = [c.get('iarg', -1) for c in new.pop('conf4', [])]
            if old.pop('conf', []) != want or old != new:
                say(f'crit: {name}, {new["name"]}: not the device that was there before')
    return n


# ---- what nsimg says ----

def run(*command):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode:
        sys.exit(f'{" ".join(command)}: status {r.returncode}\n{r.stdout}{r.stderr}')


def rows(db):
    """Table and values of all rows, sockets by the number that their descriptors have."""
    c = sqlite3.connect(f'file:{db}?mode=ro', uri=True)
    out = collections.Counter()
    for (table,) in c.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"):
        if table in NOT_COMPARED:
            continue
        columns = [r[1] for r in c.execute(f'PRAGMA table_info({table})') if r[1] not in NOT_COLUMNS]
        key, join = ("''", '') if table not in FAMILY_TABLES else ('s.file_id', ' JOIN socket s ON s.id = t.socket')
        where = " WHERE NOT (coalesce(t.path, '') GLOB '*conf4*' AND t.value = '-1')" if table == 'sysctl' else ''
        names = ', '.join(f't."{x}"' for x in columns)
        for r in c.execute(f'SELECT {key}, {names} FROM {table} t{join}{where}'):
            out[(table,) + tuple(zip(columns, r[1:])) + (r[0],)] += 1
    return out


def check_rows(before, after, say):
    for row in list((before - after).elements())[:5]:
        say(f'lost: {row}')
    for row in list((after - before).elements())[:5]:
        say(f'new: {row}')


def check_unknown(db, made, added, say):
    c = sqlite3.connect(f'file:{db}?mode=ro', uri=True)
    for name, n in added.items():
        found, damage = c.execute('SELECT n_unknown, damage FROM image_file WHERE name = ?', (name,)).fetchone()
        if found < n or damage:
            say(f'{name}: {found} unknown fields, of {n} or more; damage: {damage}')
    for name in ('hologram-7.img', 'notes.txt'):
        row = c.execute('SELECT kind, damage FROM image_file WHERE name = ?', (name,)).fetchone()
        if row != (None, None):
            say(f'{name} is in image_file as {row}')


def main(what, nsimg, source, work):
    differences = []
    say = differences.append
    made = work + '/made'
    os.makedirs(made)
    run(nsimg, 'import', work + '/before.db', source)
    added = make_unknown(source, made) if what == 'unknown' else None
    n_crit = 0
    if what == 'old':
        make_old(source, made)
        n_crit = check_crit(source, made, say)
    run(nsimg, 'import', work + '/after.db', made)
    before, after = rows(work + '/before.db'), rows(work + '/after.db')
    check_rows(before, after, say)
    if added is not None:
        check_unknown(work + '/after.db', made, added, say)
    run(nsimg, 'export', work + '/after.db', work + '/out')
    names = sorted(os.listdir(made))
    _, differ, lost = filecmp.cmpfiles(made, work + '/out', names, shallow=False)
    if differ or lost or names != sorted(os.listdir(work + '/out')):
        say(f'export: differ {differ}, missing {lost}')
    print('\n'.join(differences + [f'{sum(before.values())} rows, {n_crit} records of crit, {len(names)} files']))
    shutil.rmtree(work)
    return bool(differences or not before)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
