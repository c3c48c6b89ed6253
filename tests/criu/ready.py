"""ready.py: for the programs here that CRIU is to dump."""
import os


def ready(path):
    """What was inherited is let go, and the pid is in the file of that name, at once and whole."""
    null = os.open('/dev/null', os.O_RDWR)
    for n in range(3):
        os.dup2(null, n)
    os.close(null)
    with open(path + '.new', 'w') as f:
        print(os.getpid(), file=f)
    os.rename(path + '.new', path)
