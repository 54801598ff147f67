"""Base images from what is on the machine: no registry is asked."""

import contextlib
import fcntl
import glob
import os
import subprocess
import time
from collections.abc import Iterator

from support.builder import Content, Member, archive

__all__ = ["busybox_base", "debian_base"]

_ACCOUNTS = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
user:x:1000:1000:user:/home/user:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
_GROUPS = """\
root:x:0:
daemon:x:1:
staff:x:50:user
user:x:1000:
nogroup:x:65534:
"""
_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
# Without manuals and translations, and with a dpkg that waits for no disk: as Docker's own Debian is.
_SLIM = (
    "--variant=minbase",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
    "--dpkgopt=force-unsafe-io",
    '--aptopt=Acquire::Languages "none"',
    # Debian's package of certificates adds what it finds there to its own.
    f'--customize-hook=! [ -e {_TRUSTED} ] || install -Dm644 {_TRUSTED} "$1/usr/local/share/ca-certificates/own.crt"',
)


def busybox_base() -> bytes:
    """Return the tar of a small system: busybox with links for its applets, accounts (root, daemon, user), /tmp."""
    program = _find_busybox()
    with open(program, "rb") as file:
        members: dict[str, Content] = {
            **{
                name: Member.directory()
                for name in ("bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "var")
            },
            "root": Member.directory(0o700),
            "home/user": Member.directory(0o755, 1000, 1000),
            "tmp": Member.directory(0o1777),
            "var/spool": Member.directory(),
            "etc/passwd": _ACCOUNTS,
            "etc/group": _GROUPS,
            "bin/busybox": Member(file.read(), mode=0o755),
        }
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    members.update(
        {f"bin/{name}": Member.hard_link("bin/busybox", 0o755) for name in sorted(set(applets) - {"busybox"})}
    )
    return archive(members)


def debian_base() -> str:
    """Return the path of the tar of a Debian system like those for containers, made by mmdebstrap at most once a day.

    It is the machine's own release, from the machine's own package sources, with the certificates that this machine
    trusts, kept in the system's cache directory. Needs root, mmdebstrap and the network.
    """
    directory = os.path.join(os.environ.get("XDG_CACHE_HOME", "/var/cache"), "imagewright-tests")
    os.makedirs(directory, exist_ok=True)
    suite = _release()
    path = os.path.join(directory, f"slim-{suite}-{time.strftime('%Y%m%d')}.tar")
    with _locked(os.path.join(directory, "lock")):
        if not os.path.exists(path):
            for old in glob.glob(os.path.join(directory, f"*{suite}-*.tar")):
                os.unlink(old)
            partial = f"{path}.partial"
            command = ["mmdebstrap", "--quiet", "--mode=root", *_SLIM, "--format=tar"]
            subprocess.run([*command, suite, partial, *_sources(suite)], check=True, stdin=subprocess.DEVNULL)
            os.rename(partial, path)
    return path


def _find_busybox() -> str:
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            return path
    raise FileNotFoundError("busybox: install busybox-static")


def _release() -> str:
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VERSION_CODENAME="):
                return line.strip().partition("=")[2].strip('"')
    raise RuntimeError("this machine's release has no code name")


def _sources(suite: str) -> list[str]:
    """Return the machine's files of package sources that have to do with `suite`, in whichever of the two formats."""
    paths = ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*"))]
    chosen = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            words = {word for line in file if not line.lstrip().startswith("#") for word in line.split()}
            if suite in words or f"{suite}-updates" in words:
                chosen.append(path)
    return chosen


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
