"""Makes ready what is mounted in a RUN besides its image, in the mounts of the thread that guards the container."""

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.filesystem.tree import Directory
from imagewright.sandbox.agents import Forwarder
from imagewright.sandbox.attributes import apply_metadata
from imagewright.sandbox.kernel import MS_BIND, MS_NODEV, MS_NOSUID, mount, open_in_root
from imagewright.sandbox.mounts import AgentMount, DirectoryMount, LayersMount, Mount, SecretMount, TemporaryMount
from imagewright.sandbox.overlay import give_root_metadata, mount_overlay
from imagewright.sandbox.spec import ContainerMount

__all__ = ["check_mounts", "make_private", "make_targets", "prepare_mounts"]

# Where the runtime mounts what every container has: nothing of ours may stand in the way of what it hides there.
_RUNTIMES_OWN = ("/proc", "/sys", "/dev")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a path in the container
_LONGEST_SECRET = 512 << 10


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mount for the runtime, and whether its target is a directory."""

    mount: ContainerMount
    directory: bool


def check_mounts(mounts: Sequence[Mount]) -> None:
    """Raise `InvalidInput` for a set of mounts that is refused."""
    shared = [item.target for item in mounts if isinstance(item, DirectoryMount) and not item.exclusive]
    seen = set()
    for item in mounts:
        target = item.target
        if not target.startswith("/") or "\0" in target or posixpath.normpath(target) != target:
            raise InvalidInput(f"invalid mount target {target!r}")
        if target == "/":
            raise InvalidInput('invalid mount target "/"')
        if target in seen:
            raise InvalidInput(f"duplicate mount target {target}")
        seen.add(target)
        allowed = target == _SHARED_MEMORY and isinstance(item, TemporaryMount)
        if f"/{target.split('/')[1]}" in _RUNTIMES_OWN and not allowed:
            raise InvalidInput(f"nothing can be mounted at {target}")
        for outer in shared:
            # Whoever else has that directory could put a link in its way while it is mounted.
            if target.startswith(f"{outer}/"):
                raise InvalidInput(f"a mount at {target}, inside the shared cache {outer}: use sharing=locked there")
        if isinstance(item, SecretMount) and len(item.data) > _LONGEST_SECRET:
            raise InvalidInput(f"the secret for {target} is larger than {_LONGEST_SECRET >> 10} KiB")


def make_private(directory: str) -> None:
    """Mount memory at `directory`, for what must not reach a disk and for the points where things are mounted."""
    try:
        os.mkdir(directory, 0o700)
        mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=64m")
    except OSError as error:
        raise SystemFailure(f"memory for a container's mounts cannot be had: {error.strerror}") from error


def prepare_mounts(
    mounts: Sequence[Mount], *, private: str, directory: str, stack: contextlib.ExitStack
) -> list[Prepared]:
    """Make what `mounts` show ready below `private` (memory) and `directory`, outer ones first, and return it.

    What ends with the container is put on `stack`. Raises `InvalidInput` for a source that does not exist, and
    `SystemFailure`.
    """
    ordered = sorted(mounts, key=lambda item: item.target.split("/"))
    prepared: list[Prepared] = []
    try:
        for number, item in enumerate(ordered):
            _check_way(item.target, prepared)
            prepared.append(_prepare(item, f"{private}/{number}", f"{directory}/mount-{number}", stack))
    except OSError as error:
        raise SystemFailure(f"a mount of the container cannot be made: {error.strerror}") from error
    return prepared


def _check_way(target: str, outer: Sequence[Prepared]) -> None:
    """Raise `InvalidInput` if a mount at `target` would be somewhere else, because of what `outer` mounts show.

    The runtime follows links: one in a stage or in a cache could lead to /dev or to where files of ours are mounted,
    which the image itself is not allowed. Nobody changes `outer` ones meanwhile: those that are shared are refused.
    """
    around = [item.mount for item in outer if target.startswith(f"{item.mount.target}/")]
    if not around or around[-1].kind == "tmpfs":
        return
    nearest = around[-1]
    root = os.open(nearest.source, os.O_PATH | os.O_CLOEXEC)
    try:
        os.close(open_in_root(root, target.removeprefix(f"{nearest.target}/"), links=False))
    except OSError as error:
        why = {errno.ELOOP: "a link is in the way", errno.ENOTDIR: "a file is in the way"}.get(error.errno or 0, "")
        if error.errno == errno.ENOENT and "ro" in nearest.options:
            why = "it does not exist, and nothing can be made there"
        if why:
            place = f"inside the mount at {nearest.target}"
            raise InvalidInput(f"nothing can be mounted at {target}, {place}: {why}") from error
    finally:
        os.close(root)


def _prepare(item: Mount, place: str, scratch: str, stack: contextlib.ExitStack) -> Prepared:
    match item:
        case LayersMount():
            source, is_directory = _show(item, place, scratch)
            return Prepared(_bind(source, item.target, writable=item.writable), is_directory)
        case DirectoryMount():
            return Prepared(_bind(item.directory, item.target, writable=item.writable), directory=True)
        case TemporaryMount():
            size = (f"size={item.size}",) if item.size else ()
            return Prepared(ContainerMount("tmpfs", "tmpfs", item.target, ("nosuid", "nodev", *size)), directory=True)
        case SecretMount():
            _write_secret(item, place)
            return Prepared(_bind(place, item.target, writable=False), directory=False)
        case AgentMount():
            name = os.path.basename(scratch)
            stack.enter_context(
                Forwarder(os.path.dirname(scratch), name, item.socket, uid=item.uid, gid=item.gid, mode=item.mode)
            )
            return Prepared(_bind(scratch, item.target, writable=True), directory=False)


def _bind(source: str, target: str, *, writable: bool) -> ContainerMount:
    return ContainerMount("bind", source, target, ("rbind", "rprivate", "nosuid", "nodev", "rw" if writable else "ro"))


def _write_secret(item: SecretMount, place: str) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(item.data)
        os.fchown(descriptor, item.uid, item.gid)
        os.fchmod(descriptor, item.mode)


def _show(item: LayersMount, place: str, scratch: str) -> tuple[str, bool]:
    """Mount the stack, find `source` in it, and return a path that leads there and nowhere else, and its kind."""
    stacked = f"{place}.stack"
    os.mkdir(stacked)
    if len(item.lowers) == 1 and not item.writable:
        mount(item.lowers[0], stacked, flags=MS_BIND)
    else:
        upper = work = ""
        if item.writable:
            upper, work = f"{scratch}.upper", f"{scratch}.work"
            os.mkdir(upper)
            give_root_metadata(upper, item.lowers, item.root)
            os.mkdir(work, 0o700)
        mount_overlay(f"{place}.links", stacked, item.lowers, upper, work)
    root = os.open(stacked, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            found = open_in_root(root, item.source.strip("/"))
        except OSError as error:
            raise InvalidInput(f'"/{item.source.strip("/")}": not found') from error
        try:
            is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
            if is_directory:
                os.mkdir(place)
            else:
                os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            # The descriptor, not the name: that may lead elsewhere in the namespace of this thread.
            mount(f"/proc/thread-self/fd/{found}", place, flags=MS_BIND)
        finally:
            os.close(found)
    finally:
        os.close(root)
    return place, is_directory


def make_targets(directory: str, root: Directory | None, prepared: Sequence[Prepared]) -> None:
    """Make in the layer directory `directory` what the image with the tree `root` lacks for the targets.

    So that nothing of it shows in what the process changes. Directories that the image has keep the image's metadata.
    Raises `InvalidInput` for a target that cannot be.
    """
    made: list[tuple[str, Directory]] = []
    for item in prepared:
        names = item.mount.target.strip("/").split("/")
        if f"/{names[0]}" not in _RUNTIMES_OWN:
            _make_target(directory, root, names, made, is_directory=item.directory)
    # Innermost first: what is made in a directory changes its times.
    for path, node in reversed(made):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            apply_metadata(descriptor, node)
        finally:
            os.close(descriptor)


def _make_target(
    directory: str,
    root: Directory | None,
    names: Sequence[str],
    made: list[tuple[str, Directory]],
    *,
    is_directory: bool,
) -> None:
    nodes = [root]
    for depth, name in enumerate(names, 1):
        here = nodes[-1]
        node = None if here is None else here.children.get(name)
        last = depth == len(names)
        if node is not None and isinstance(node, Directory) != (is_directory or not last):
            kind = "a directory" if isinstance(node, Directory) else "not a directory"
            raise InvalidInput(f"nothing can be mounted at /{'/'.join(names)}: /{'/'.join(names[:depth])} is {kind}")
        nodes.append(node if isinstance(node, Directory) else None)
        if last and node is not None:
            return
    for depth in range(1, len(names) + 1):
        path = f"{directory}/{'/'.join(names[:depth])}"
        if os.path.lexists(path):
            continue
        if depth == len(names) and not is_directory:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            continue
        os.mkdir(path, 0o755)
        node = nodes[depth]
        if node is not None:
            made.append((path, node))
