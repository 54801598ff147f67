"""Owner, mode, times and extended attributes, from descriptors and to them."""

import contextlib
import os
from collections.abc import Mapping

from imagewright.filesystem.tree import Node

__all__ = ["OPAQUE", "apply_metadata", "apply_metadata_at", "read_xattrs"]

# What overlayfs writes on a directory that hides the one below it.
OPAQUE = "trusted.overlay.opaque"

# `trusted.*` belongs to overlayfs and the host, labels of SELinux to the host's policy.
_HOST_ONLY = ("trusted.", "security.selinux")

_EARLIEST_NS = -(1 << 62)
_LATEST_NS = 1 << 62


def read_xattrs(target: int | str) -> dict[str, bytes]:
    """Return the attributes that belong in a layer.

    `target` is a descriptor, or a path whose last component is not followed.
    """
    follow = isinstance(target, int)
    names = os.listxattr(target, follow_symlinks=follow)
    if not names:
        return {}
    return {
        name: os.getxattr(target, name, follow_symlinks=follow) for name in names if not name.startswith(_HOST_ONLY)
    }


def apply_metadata(descriptor: int, node: Node) -> None:
    """Give the file or directory `descriptor` the metadata of `node`; call it when the content is written."""
    # The order matters: a change of owner takes away setuid and security.capability, everything else moves the times.
    os.fchown(descriptor, node.uid, node.gid)
    os.fchmod(descriptor, node.mode)
    if node.xattrs:
        _write_xattrs(descriptor, node.xattrs)
    os.utime(descriptor, ns=_times(node))


def apply_metadata_at(directory: int, name: str, node: Node, *, link: bool) -> None:
    """Give `name` in `directory`, which cannot be opened (a FIFO, a device, a link), the metadata of `node`."""
    os.chown(name, node.uid, node.gid, dir_fd=directory, follow_symlinks=False)
    if not link:
        # chmod(2) has no way not to follow; what is there was made here a moment ago and is no link.
        os.chmod(name, node.mode, dir_fd=directory)
    if node.xattrs:
        _write_xattrs(f"/proc/self/fd/{directory}/{name}", node.xattrs)
    os.utime(name, ns=_times(node), dir_fd=directory, follow_symlinks=False)


def _times(node: Node) -> tuple[int, int]:
    time = min(max(node.mtime_ns, _EARLIEST_NS), _LATEST_NS)
    return time, time


def _write_xattrs(target: int | str, xattrs: Mapping[str, bytes]) -> None:
    for name, value in xattrs.items():
        if not name.startswith(_HOST_ONLY):
            # What the filesystem or the kind of file cannot hold is left out, as every engine does.
            with contextlib.suppress(OSError):
                os.setxattr(target, name, value, follow_symlinks=isinstance(target, int))
