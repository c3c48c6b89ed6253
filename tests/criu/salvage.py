#!/usr/bin/python3
"""salvage.py NSIMG DB CORPUS WORK: images with one file cut off or damaged, imported with --salvage in one command.

Expected is what the framing says: the rows of all records before the damage, as they are in DB (which has the whole
images), the damage with its place, and every other file with the rows it has in DB. `nsimg images` counts it.
"""
import collections, json, os, random, re, shutil, sqlite3, struct, subprocess, sys

import values_raw
from critlib import Report, images_of, open_db

# table: of which files its rows are
TABLES = ('socket', 'fd', 'device', 'sysctl', 'address', 'route', 'rule', 'socket_queue', 'tun_file', 'task', 'nsid')
KINDS = ('files', 'fdinfo', 'netdev', 'ifaddr', 'route', 'rule', 'pstree', 'netns')
NOT_ROWS = ('id', 'image', 'file', 'netns', 'peer_netns', 'link_netnsid', 'target')


def boundaries(kind, data):
    """Where each record begins, and the end."""
    if kind in values_raw.KINDS:
        return [at for at, _, _ in values_raw.messages(kind, data)] + [len(data)]
    at, out = 8, []
    while at < len(data):
        out.append(at)
        at += 4 + struct.unpack_from('<I', data, at)[0]
    return out + [len(data)]


def rows(db, image, table):
    """name of file -> rows of it, but for what has other numbers in another database"""
    out = collections.defaultdict(list)
    for r in db.execute(f'SELECT f.name AS "of file", t.* FROM {table} t JOIN image_file f ON f.id = t.file WHERE t.image'
                        ' = ? ORDER BY t.id', (image,)):
        out[r['of file']].append({k: r[k] for k in r.keys() if k not in NOT_ROWS})
    return out


def damage(source, target, i):
    """A copy with one file damaged: (name, offset of the first record that is not whole)"""
    shutil.copytree(source, target, ignore=lambda _, names: [n for n in names if n.startswith(('pages', 'mm-'))])
    kind = KINDS[i % len(KINDS)]
    names = [n for n in sorted(os.listdir(target)) if re.fullmatch(kind + r'(-\d+)?\.img', n)]
    names = [n for n in names if os.path.getsize(os.path.join(target, n)) > 60] or ['files.img']
    name = names[-1]
    kind = re.match(r'(.*?)(-\d+)?\.img', name)[1]
    path = os.path.join(target, name)
    os.chmod(path, 0o600)
    data = open(path, 'rb').read()
    starts = boundaries(kind, data)
    no = random.Random(i).randrange(len(starts) - 1)
    if i % 2:
        # a length that goes beyond the file
        data = data[:starts[no]] + struct.pack('<I', 0x7ffffff0) + data[starts[no] + 4:]
    else:
        data = data[:starts[no] + 3]
    open(path, 'wb').write(data)
    return name, starts[no]


def main(nsimg, whole, corpus, work):
    r, before = Report(), open_db(whole)
    damaged = {}
    for i, source in enumerate(s for s in images_of(corpus) if os.path.isdir(s)):
        if i % 4:
            continue
        target = os.path.join(work, f'{i}-{os.path.basename(source)}')
        damaged[target] = (source, *damage(source, target, i // 4))
    db = os.path.join(work, 'salvage.db')
    strict = subprocess.run([nsimg, 'import', db, *damaged], capture_output=True, text=True)
    r.same('without --salvage', strict.stdout.splitlines()[-1],
           f'0 imported, 0 in the database already, {len(damaged)} failed')
    p = subprocess.run([nsimg, 'import', '--salvage', db, *damaged], capture_output=True, text=True)
    r.same('status', p.returncode, 0)
    after = open_db(db)
    shown = {i['name']: i['damaged'] for i in json.loads(subprocess.run(
        [nsimg, 'images', '--json', db], capture_output=True, text=True).stdout)}
    for target, (source, name, at) in damaged.items():
        r.where = f'{os.path.relpath(source, corpus)}, {name} from {at} on'
        image = after.execute('SELECT id FROM image WHERE source = ?', (os.path.realpath(target),)).fetchone()
        old = before.execute('SELECT id FROM image WHERE source = ?', (os.path.realpath(source),)).fetchone()
        if not image:
            r.say(f'not imported: {p.stderr}')
            continue
        found = {f['name']: f for f in after.execute('SELECT * FROM image_file WHERE image = ? AND damage IS NOT NULL',
                                                     (image[0],))}
        r.same('damaged files', list(found), [name])
        if name in found:
            r.same('offset of the damage', found[name]['damage_off'], at)
        r.same('damage that "images" shows', shown[os.path.basename(target)], 1)
        for table in TABLES:
            x, y = rows(before, old[0], table), rows(after, image[0], table)
            for file in set(x) | set(y):
                want = [row for row in x[file] if file != name or row['off'] < at]
                r.same(f'{table} of {file}', y[file], want)
    return r.end(f'{len(damaged)} damaged images')


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
