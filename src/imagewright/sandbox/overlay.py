"""The root filesystem of a RUN: layer directories stacked by overlayfs.

https://docs.kernel.org/filesystems/overlayfs.html
"""

import contextlib
import errno
import os
import stat
from collections.abc import Hashable, Sequence

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.filesystem.tree import Directory
from imagewright.sandbox.attributes import apply_metadata
from imagewright.sandbox.kernel import MNT_DETACH, MS_NODEV, MS_NOSUID, mount, unmount

__all__ = [
    "check_working_directory",
    "describe_mount_points",
    "give_root_metadata",
    "make_mount_points",
    "mount_overlay",
    "unmount_overlay",
]

# Nothing of a copied-up file may stay behind in a lower directory, and a directory is renamed by copying it: an upper
# directory then says by itself what changed. Volatile: fsync(2) of the processes inside is not passed on, because what
# they leave is synced as a whole by whoever keeps it, or thrown away.
_OPTIONS = "redirect_dir=off,metacopy=off,index=off"
_VOLATILE = ",volatile"

_MOUNT_POINTS = ("dev", "proc", "sys")
_ETC_FILES = ("hosts", "hostname", "resolv.conf")
_MAX_LINKS = 40


def mount_overlay(links: str, target: str, lowers: Sequence[str], upper: str, work: str) -> None:
    """Mount `lowers` (highest first) below `upper` on `target`, in the calling thread's namespaces.

    Without `upper` and `work`, both empty, it is of two lowers at least, and for reading only. The options of a mount
    are at most a page, so they hold short names that are links in `links`, a directory made here and empty afterwards;
    the thread must have mounts and a working directory of its own (CLONE_FS), which is `/` afterwards. Raises
    `SystemFailure`.
    """
    os.mkdir(links, 0o700)
    # In memory: on ext4, links for 60 layers take 5 ms to be made and removed, a sixth of a whole RUN.
    try:
        mount("tmpfs", links, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700")
        try:
            _mount_from(links, target, lowers, upper, work)
        finally:
            unmount(links, MNT_DETACH)
    except OSError as error:
        raise SystemFailure(f"overlayfs cannot mount the layers of the image: {error.strerror}") from error


def _mount_from(links: str, target: str, lowers: Sequence[str], upper: str, work: str) -> None:
    for index, lower in enumerate(lowers):
        os.symlink(lower, f"{links}/{index}")
    names = ":".join(str(index) for index in range(len(lowers)))
    options = f"lowerdir={names},{_OPTIONS}"
    volatile = ""
    if upper:
        os.symlink(upper, f"{links}/u")
        os.symlink(work, f"{links}/w")
        options, volatile = f"{options},upperdir=u,workdir=w", _VOLATILE
    os.chdir(links)
    try:
        mount("overlay", target, "overlay", 0, options + volatile)
    except OSError as error:
        # Before Linux 5.10 the option is not known.
        if error.errno != errno.EINVAL:
            raise
        mount("overlay", target, "overlay", 0, options)
    finally:
        os.chdir("/")


def unmount_overlay(target: str) -> None:
    """Undo `mount_overlay`; raises nothing: the mount goes with its namespace at the latest."""
    try:
        unmount(target)
    except OSError:
        with contextlib.suppress(OSError):
            unmount(target, MNT_DETACH)


def give_root_metadata(upper: str, lowers: Sequence[str], root: Directory | None) -> None:
    """Give `upper` the metadata of `root`, or of the highest of `lowers`: overlayfs shows those of `upper`."""
    if root is not None:
        descriptor = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            apply_metadata(descriptor, root)
        finally:
            os.close(descriptor)
    elif lowers:
        _copy_metadata(lowers[0], upper, os.lstat(lowers[0]))
    else:
        os.chmod(upper, 0o755)  # noqa: S103 - the root directory of a container is for all its users


def make_mount_points(directory: str, lowers: Sequence[str]) -> None:
    """Make `directory` the highest lower directory, with everything that is mounted over in a RUN.

    It keeps mount points out of `upper`, as the engine's init layer does. Directories that the image has keep the
    image's metadata. Raises `InvalidInput` if the image has something else where a filesystem is to be mounted.
    """
    os.mkdir(directory, 0o755)
    for name in _MOUNT_POINTS:
        found = _find_highest(lowers, name)
        os.mkdir(f"{directory}/{name}", 0o755)
        if found is not None:
            path, status = found
            if not stat.S_ISDIR(status.st_mode):
                raise InvalidInput(f"the image's /{name} is not a directory: nothing can be run in it")
            _copy_metadata(path, f"{directory}/{name}", status)
    _make_empty(f"{directory}/.dockerenv")
    os.mkdir(f"{directory}/etc", 0o755)
    for name in _ETC_FILES:
        _make_empty(f"{directory}/etc/{name}")
    os.symlink("/proc/mounts", f"{directory}/etc/mtab")
    found = _find_highest(lowers, "etc")
    if found is not None and stat.S_ISDIR(found[1].st_mode):
        _copy_metadata(found[0], f"{directory}/etc", found[1])
    if lowers:
        _copy_metadata(lowers[0], directory, os.lstat(lowers[0]))


def describe_mount_points(lowers: Sequence[str]) -> Hashable:
    """Return what `make_mount_points` takes over from `lowers`, but for the root, of which only `upper` is seen."""
    found = [_find_highest(lowers, name) for name in (*_MOUNT_POINTS, "etc")]
    return tuple(
        one and (one[1].st_mode, one[1].st_uid, one[1].st_gid, one[1].st_mtime_ns, *_copied_attributes(one[0]))
        for one in found
    )


def _make_empty(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _find_highest(lowers: Sequence[str], name: str) -> tuple[str, os.stat_result] | None:
    """Return path and status of what overlayfs shows as `/name`, or None."""
    for lower in lowers:
        path = f"{lower}/{name}"
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            return None
        return path, status
    return None


def _copy_metadata(source: str, target: str, status: os.stat_result) -> None:
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    for name, value in _copied_attributes(source):
        with contextlib.suppress(OSError):
            os.setxattr(target, name, value, follow_symlinks=False)
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _copied_attributes(path: str) -> list[tuple[str, bytes]]:
    names = os.listxattr(path, follow_symlinks=False)
    return [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names if not name.startswith("trusted.")]


def check_working_directory(rootfs: str, path: str) -> None:
    """Raise `InvalidInput` if `path` leads into /proc of the container, through whatever links.

    Nothing is mounted in `rootfs` yet, so links into /proc dangle; they are followed by name all the same. A working
    directory there is how a process got hold of the runtime's own descriptors (CVE-2024-21626).
    """
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        resolved = _resolve(root, path)
    finally:
        os.close(root)
    if resolved[:1] == ["proc"]:
        raise InvalidInput(f"the working directory {path} is in /proc")


def _resolve(root: int, path: str) -> list[str]:
    """Return the names that `path` leads to within `root`; missing ones stay as they are."""
    pending = path.split("/")[::-1]
    done: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            del done[-1:]
            continue
        try:
            # Everything in `done` is known not to be a link.
            target = os.readlink("/".join([*done, name]), dir_fd=root)
        except OSError:
            done.append(name)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise InvalidInput(f"the working directory {path} goes through too many symbolic links")
        if target.startswith("/"):
            done = []
        pending.extend(target.split("/")[::-1])
    return done
