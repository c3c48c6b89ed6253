"""nsimg export of an image with 1 000 000 sockets: nothing edited, against copying the files with hashing; with
1 % of the sockets edited, against the export of the unedited one."""

import filecmp
import os
import shutil

from bench import Run


def same_files(b, one, other, but=()):
    names = sorted(os.listdir(one))
    b.check(names == sorted(os.listdir(other)), "the folders have other files")
    _, differ, errors = filecmp.cmpfiles(one, other, names, shallow=False)
    b.check(sorted(differ) == sorted(but) and not errors, f"these files differ: {differ} {errors}")


def run(b):
    n = b.size(1_000_000, 2_000)
    image = b.image(sockets=n, per_task=1000)
    plain, edited = b.path("plain.db"), b.path("edited.db")
    b.sh([b.nsimg, "import", plain, image])
    shutil.copy(plain, edited)
    # the ports of gen alternate: one lower is free, one higher is that of the next socket, which export refuses
    b.sh(["sqlite3", edited, "UPDATE inet_socket SET src_port = src_port - 1 WHERE socket % 50 = 1"])
    b.check(b.sh(["sqlite3", edited, "SELECT count(*) FROM edit_log"]).strip() == str(n // 100), "1 % is edited")

    def clean():
        b.remove("plain", "edited", "copy", "checked")

    contenders = [
        Run("nsimg export", [b.nsimg, "export", plain, b.path("plain")], before=clean),
        Run("limit (copy, hash)", [b.limit("copy"), image, b.path("copy")]),
    ]
    edit = Run("nsimg export, 1 % edited", [b.nsimg, "export", edited, b.path("edited")])
    for one in [*contenders, edit]:
        one.once()
        one.seconds, one.cpu, one.rss = [], [], []
    same_files(b, image, b.path("plain"))
    same_files(b, image, b.path("copy"))
    same_files(b, image, b.path("edited"), but=["files.img"])
    b.compare(f"export of {n} sockets and {n} descriptors, unedited", contenders, per=n, unit="socket",
              targets={"limit (copy, hash)": 1.3})
    edit = Run("export --force, 1 % edited", [b.nsimg, "export", "--force", edited, b.path("edited")], before=clean)
    again = Run("nsimg export, unedited", [b.nsimg, "export", plain, b.path("plain")])
    # every fourth socket of gen is bound to an address that no device has: an error before the edits, too
    checked = Run("with the check", [b.nsimg, "export", edited, b.path("checked")], runs=2)
    b.compare(f"export of {n} sockets, 1 % edited", [edit, again, checked], per=n, unit="socket",
              targets={"nsimg export, unedited": 1.5})
    b.value("peak memory of the export with edits", max(edit.rss + checked.rss) / 1024, "MiB", at_most=160)


NEEDS = ["sqlite3"]
