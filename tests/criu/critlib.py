"""crit as a library, and what else the tests with Python share: images as files, databases as rows.

pycriu is taken from the tree with a current CRIU (`tree.sh`; its folder in NSIMG_CRIU_TREE) where it is there,
else from Debian's own, older package. The current one was generated for a younger protobuf; what it asks of that
is one check of versions.
"""
import io, os, sqlite3, struct, sys, tarfile, types


def load_pycriu():
    tree = os.environ.get('NSIMG_CRIU_TREE') or os.path.join(os.path.dirname(__file__), '../../build/criu-tree')
    packages = os.path.join(tree, 'root/usr/lib/python3/dist-packages')
    if os.path.isdir(os.path.join(packages, 'pycriu')):
        check = types.ModuleType('google.protobuf.runtime_version')
        check.Domain = types.SimpleNamespace(PUBLIC=1)
        check.ValidateProtobufRuntimeVersion = lambda *_: None
        sys.modules.setdefault('google.protobuf.runtime_version', check)
        import google.protobuf
        google.protobuf.runtime_version = sys.modules['google.protobuf.runtime_version']
        sys.path.insert(0, packages)
    import pycriu
    if packages in sys.path:
        sys.path.remove(packages)
    return pycriu


pycriu = load_pycriu()
IS_CURRENT = hasattr(pycriu.images.pb.inet_sk_entry(), 'tcp_opts')


def crit(data):
    """The entries that crit finds in the bytes of a file, numbers as numbers."""
    return pycriu.images.load(io.BytesIO(data), False)['entries']


def crit_knows(name, data):
    """Does crit have a handler for the magic of the file?"""
    if len(data) < 8 or name.endswith('.tar.gz.img'):
        return False
    magic = struct.unpack_from('<I', data)[0]
    if magic in (0x54564319, 0x55105940):
        magic = struct.unpack_from('<I', data, 4)[0]
    elif not name.startswith('inventory'):
        return False
    kind = pycriu.images.magic.by_val.get(magic)
    return kind in pycriu.images.handlers and not kind.startswith(('IFADDR', 'ROUTE', 'RULE'))


def read_image(path):
    """All files of a folder or an archive: name -> bytes. Of what is no image of CRIU only the small ones."""
    if os.path.isdir(path):
        out = {}
        for folder, _, names in os.walk(path):
            for name in names:
                whole = os.path.join(folder, name)
                if os.path.isfile(whole) and os.path.getsize(whole) < 16 << 20:
                    with open(whole, 'rb') as f:
                        out[os.path.relpath(whole, path)] = f.read()
        return out
    with tarfile.open(path) as t:
        return {m.name.removeprefix('./'): t.extractfile(m).read() for m in t if m.isreg() and m.size < 16 << 20}


def images_of(corpus):
    """Paths of all images below the corpus."""
    out = []
    for group in sorted(os.listdir(corpus)):
        folder = os.path.join(corpus, group)
        if not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if os.path.exists(os.path.join(path, 'inventory.img')) or (
                    group == 'podman' and '.tar' in name and 'rootfs' not in name):
                out.append(path)
    return out


def open_db(path):
    c = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    c.row_factory = sqlite3.Row
    return c


def escape(data):
    """How nsimg writes names: bytes below 0x20, 0x7f, the backslash and invalid UTF-8 as an escape."""
    out = ''
    for ch in data.decode('utf-8', 'surrogateescape'):
        n = ord(ch)
        if ch == '\\':
            out += '\\\\'
        elif 0xdc80 <= n <= 0xdcff:
            out += f'\\x{n - 0xdc00:02x}'
        elif n < 0x20 or n == 0x7f:
            out += f'\\x{n:02x}'
        else:
            out += ch
    return out


class Report:
    """Counts what was compared and keeps what differs."""

    def __init__(self):
        self.n, self.differences, self.where = 0, [], ''

    def same(self, what, ours, theirs):
        self.n += 1
        if ours != theirs:
            self.say(f'{what}: {ours!r}, not {theirs!r}')

    def say(self, text):
        self.differences.append(f'{self.where}: {text}')

    def end(self, subject):
        """Print all; the exit status."""
        for line in self.differences[:400]:
            print(line)
        print(f'{self.n} values of {subject} compared, {len(self.differences)} differ')
        return bool(self.differences) or not self.n
