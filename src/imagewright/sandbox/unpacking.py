"""Writing a layer as a directory that overlayfs can mount.

https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
"""

import errno
import os
import stat

from imagewright.archive import Contents
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput, SystemFailure
from imagewright.filesystem.layer import Change, Layer, Opaque, Put
from imagewright.filesystem.tree import Device, Directory, Fifo, File, Node, Symlink, Tree, find
from imagewright.sandbox.attributes import OPAQUE, apply_metadata, apply_metadata_at
from imagewright.sandbox.descent import Descent

__all__ = ["unpack"]

_IMPLIED = Directory(mode=0o755)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_NAMES = frozenset({"", ".", ".."})
_WHITEOUT_DEVICE = os.makedev(0, 0)
_LAYER_AT_FAULT = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL})


def unpack(layer: Layer, directory: str, parent: Tree, *, cancellation: Cancellation | None = None) -> None:
    """Write `layer` into `directory` (existing, empty) as an overlayfs layer.

    Directories that the layer needs and does not carry take their metadata from `parent`, the tree below it, or are
    0755, root's, where it has none; an Opaque root becomes a whiteout of everything `parent` has there. Follows no
    link, whatever the layer says. A character device 0/0 hides what is below it, since overlayfs takes it for a
    whiteout; attributes `trusted.*` and `security.selinux` are left out.

    What is written is right above `parent` only, unless the layer has a Put for every parent directory and hides
    nothing. Not atomic, not synced: the caller renames. Raises `Cancelled`, `InvalidInput` for a layer that cannot be
    written and `SystemFailure` if the machine refuses.
    """
    path = ""
    try:
        with Descent(directory) as descent, Contents() as contents:
            unpacking = _Unpacking(descent, contents, parent)
            for change in layer.changes:
                if cancellation is not None:
                    cancellation.check()
                path = change.path
                unpacking.write(change)
            unpacking.finish()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        if error.errno in _LAYER_AT_FAULT:
            raise InvalidInput(f"the layer cannot be unpacked: {path}: {reason}") from error
        raise SystemFailure(f"cannot unpack a layer: {path}: {reason}") from error


class _Unpacking:
    """The directories from the root to where the last change was; each gets its metadata when it is left."""

    def __init__(self, descent: Descent, contents: Contents, parent: Tree) -> None:
        self._descent = descent
        self._contents = contents
        self._parent = parent
        self._path = ""
        self._directories: dict[str, Directory] = {"": parent}
        self._linked: dict[int, str] = {}
        self._opaque: set[str] = set()
        self._removed: set[str] = set()

    def write(self, change: Change) -> None:
        """Carry out `change`."""
        if change.path and not _NO_NAMES.isdisjoint(change.path.split("/")):
            raise InvalidInput(f"the layer cannot be unpacked: {change.path!r} is no path for a file")
        if isinstance(change, Put):
            self._put(change.path, change.node)
        elif isinstance(change, Opaque):
            self._hide(change.path)
        elif self._below(change.path) is not None:
            # Where there is nothing to hide, overlayfs would show the whiteout itself.
            self._make_whiteout(self._go_to_parent(change.path))
            self._removed.add(change.path)

    def finish(self) -> None:
        """Leave every directory."""
        self._go_to("")
        if "" in self._opaque:
            self._hide_root()
        apply_metadata(self._descent.here, self._directories[""])

    def _hide_root(self) -> None:
        """Hide what the parent has in its root: overlayfs knows no opaque root."""
        there = frozenset(os.listdir(self._descent.here))
        for name in self._parent.children:
            if name not in there:
                self._make_whiteout(name)
            elif name in self._directories:
                self._hide(name)
                self._go_to("")

    def _put(self, path: str, node: Node) -> None:
        if isinstance(node, Directory):
            self._put_directory(path, node)
            return
        name = self._go_to_parent(path)
        here = self._descent.here
        self._make_room(name, path)
        first = self._linked.setdefault(id(node), path)
        if first != path:
            self._link(first, name)
        elif isinstance(node, File):
            self._create(name, node)
        else:
            _make_special(here, name, node)

    def _put_directory(self, path: str, node: Directory) -> None:
        if path:
            self._make_directory(self._go_to_parent(path), path)
        self._directories[path] = node

    def _create(self, name: str, node: File) -> None:
        descriptor = os.open(name, _CREATE, 0o600, dir_fd=self._descent.here)
        try:
            if node.content.size:
                self._contents.copy(node.content, descriptor)
            apply_metadata(descriptor, node)
        finally:
            os.close(descriptor)

    def _link(self, first: str, name: str) -> None:
        parent, _, source = first.rpartition("/")
        if parent == self._path:
            here = self._descent.here
            os.link(source, name, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)
            return
        descriptor = self._descent.open(parent.split("/") if parent else [])
        try:
            os.link(source, name, src_dir_fd=descriptor, dst_dir_fd=self._descent.here, follow_symlinks=False)
        finally:
            os.close(descriptor)

    def _make_whiteout(self, name: str) -> None:
        os.mknod(name, stat.S_IFCHR, _WHITEOUT_DEVICE, dir_fd=self._descent.here)

    def _hide(self, path: str) -> None:
        """Hide whatever is below the directory `path`."""
        self._opaque.add(path)
        if path:
            self._go_to(path)
            os.setxattr(self._descent.here, OPAQUE, b"y")

    def _below(self, path: str) -> Node | None:
        """Return what the parent shows at `path`, as far as the layer has not hidden it."""
        if any(not opaque or path.startswith(f"{opaque}/") for opaque in self._opaque):
            return None
        if any(f"{path}/".startswith(f"{removed}/") for removed in self._removed):
            return None
        return find(self._parent, path)

    def _go_to_parent(self, path: str) -> str:
        """Go to the directory that `path` is in, and return the last name of `path`."""
        if not path:
            raise InvalidInput("the layer cannot be unpacked: its root is not a directory")
        directory, _, name = path.rpartition("/")
        if directory != self._path:
            self._go_to(directory)
        return name

    def _go_to(self, path: str) -> None:
        """Go to the directory `path`, making it and those above it where they are missing."""
        while self._path and not f"{path}/".startswith(f"{self._path}/"):
            apply_metadata(self._descent.here, self._directories[self._path])
            self._descent.leave()
            self._path = self._path.rpartition("/")[0]
        rest = path[len(self._path) :].lstrip("/")
        for name in rest.split("/") if rest else ():
            below = f"{self._path}/{name}" if self._path else name
            if below in self._directories:
                self._descent.enter(name)
                self._path = below
            else:
                implied = self._below(below)
                self._directories[below] = implied if isinstance(implied, Directory) else _IMPLIED
                self._make_directory(name, below)

    def _make_directory(self, name: str, path: str) -> None:
        """Make the directory `path`, whose last name is `name`, where one is, and go there."""
        replaces = self._make_room(name, path)
        os.mkdir(name, 0o700, dir_fd=self._descent.here)
        self._descent.enter(name)
        self._path = path
        if replaces:
            os.setxattr(self._descent.here, OPAQUE, b"y")

    def _make_room(self, name: str, path: str) -> bool:
        """Take away the whiteout at `path`, if there is one, for what replaces it; return whether there was."""
        if path not in self._removed:
            return False
        os.unlink(name, dir_fd=self._descent.here)
        return True


def _make_special(directory: int, name: str, node: Node) -> None:
    if isinstance(node, Symlink):
        os.symlink(node.target, name, dir_fd=directory)
        apply_metadata_at(directory, name, node, link=True)
        return
    if isinstance(node, Device):
        kind = stat.S_IFBLK if node.kind == "block" else stat.S_IFCHR
        os.mknod(name, kind | 0o600, os.makedev(node.major, node.minor), dir_fd=directory)
    elif isinstance(node, Fifo):
        os.mkfifo(name, 0o600, dir_fd=directory)
    apply_metadata_at(directory, name, node, link=False)
