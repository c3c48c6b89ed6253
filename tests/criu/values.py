#!/usr/bin/python3
"""values.py DB CORPUS: every image of the corpus, which DB holds, against what others read in the same files.

A difference a line; exit status 1 when there are any. The last line counts what was compared.
"""
import json, os, sys

from critlib import Report, images_of, open_db, read_image
from values_crit import Crit, read_kinds, read_names
from values_raw import Ip, Raw
from values_snapshot import Snapshot


def main(path, corpus):
    db, r = open_db(path), Report()
    tables = os.path.join(corpus, '../criu-format')
    facts = read_names(tables + '/sysctl-order.tsv'), read_kinds(tables + '/images.tsv')
    images, ip = images_of(corpus), Ip(r)
    for source in images:
        r.where = os.path.relpath(source, corpus)
        row = db.execute('SELECT id FROM image WHERE source = ?', (os.path.realpath(source),)).fetchone()
        if not row:
            r.say('not imported')
            continue
        files = read_image(source)
        Crit(r, db, row['id'], source, files, facts).run()
        Raw(r, db, row['id'], files, ip).run()
        if 'snapshot.json' in files:
            Snapshot(r, db, row['id'], json.loads(files['snapshot.json'])).run()
    return r.end(f'{len(images)} images')


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
