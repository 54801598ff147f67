"""What a RUN finds mounted: from stages, from the context, from caches, and what the client lends it."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from imagewright.build.state import State
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput
from imagewright.filesystem import (
    EMPTY,
    Directory,
    Layer,
    Node,
    Put,
    Selected,
    Tree,
    digest_selection,
    find,
    resolve,
    walk,
)
from imagewright.plan import RunCommand, RunMount
from imagewright.sandbox import AgentMount, DirectoryMount, LayersMount, Mount, SecretMount, TemporaryMount, unpack
from imagewright.store import Store

__all__ = ["Mounted", "Mounting", "cache_key"]

_STRICTNESS = ("locked", "private", "shared")


@dataclass(frozen=True, slots=True)
class Mounted:
    """The mounts of one RUN, and the variables that come with them; those of `secret_env` are for nobody else."""

    mounts: tuple[Mount, ...] = ()
    env: tuple[str, ...] = ()
    secret_env: tuple[str, ...] = field(default=(), repr=False)


class Mounting:
    """Makes the mounts of one build's RUN steps; `directory` is empty and the build's own. Thread-safe.

    `context` returns the files of the build context.
    """

    def __init__(
        self,
        *,
        store: Store,
        context: Callable[[], Tree],
        directory: str,
        secrets: Mapping[str, bytes],
        agents: Mapping[str, str],
    ) -> None:
        self._store = store
        self._context = context
        self._directory = directory
        self._secrets = secrets
        self._agents = agents
        self._unpacked: dict[str, str] = {}
        self._lock = threading.Lock()

    def leaves(self, op: RunCommand, inputs: Sequence[State]) -> dict[str, str]:
        """Return what the result of `op` depends on by its mounts: what they show, and no secret."""
        found = {}
        for number, mount in enumerate(op.mounts):
            if mount.flag.kind == "bind":
                _, node = self._source(mount, inputs)
                digest = digest_selection([Selected("", "", node)], owners=mount.input is not None)
                found[f"mount.{number}.source"] = f"{node.mode:o} {digest}"
        return found

    @contextlib.contextmanager
    def made(
        self, op: RunCommand, inputs: Sequence[State], tree: Tree, cancellation: Cancellation
    ) -> Iterator[Mounted]:
        """Yield the mounts of `op`, which runs in `tree`; they are there until the end of the `with`.

        Raises `InvalidInput` for a source that does not exist, `Cancelled` while waiting for a cache.
        """
        mounts: list[Mount] = []
        env: list[str] = []
        secret_env: list[str] = []
        with contextlib.ExitStack() as stack:
            caches = self._caches(op, inputs, stack, cancellation)
            for mount in op.mounts:
                flag = mount.flag
                target = f"/{resolve(tree, flag.target)}"
                match flag.kind:
                    case "bind":
                        mounts.append(self._bind(mount, target, inputs, cancellation))
                    case "tmpfs":
                        mounts.append(TemporaryMount(target=target, size=flag.size))
                    case "cache":
                        path, exclusive = caches[cache_key(mount, inputs, self._store)]
                        mounts.append(
                            DirectoryMount(
                                target=target, directory=path, writable=not flag.readonly, exclusive=exclusive
                            )
                        )
                    case "secret" if flag.id in self._secrets:
                        data = self._secrets[flag.id]
                        if flag.target:
                            owner = {"uid": flag.uid or 0, "gid": flag.gid or 0}
                            mode = 0o400 if flag.mode is None else flag.mode
                            mounts.append(SecretMount(target=target, data=data, mode=mode, **owner))
                        if flag.env:
                            secret_env.append(f"{flag.env}={data.decode()}")  # see Permissions
                    case "ssh" if flag.id in self._agents:
                        owner = {"uid": flag.uid or 0, "gid": flag.gid or 0}
                        mode = 0o600 if flag.mode is None else flag.mode
                        mounts.append(AgentMount(target=target, socket=self._agents[flag.id], mode=mode, **owner))
                        env.append(f"SSH_AUTH_SOCK={target}")
            yield Mounted(tuple(mounts), tuple(env[:1]), tuple(secret_env))

    def _source(self, mount: RunMount, inputs: Sequence[State]) -> tuple[Tree, Node]:
        """Return the tree that `mount` shows something of, and what it shows."""
        tree = self._context() if mount.input is None else self._store.tree(inputs[mount.input].diff_ids)
        return tree, _shown(tree, mount.flag.source)

    def _bind(self, mount: RunMount, target: str, inputs: Sequence[State], cancellation: Cancellation) -> LayersMount:
        flag = mount.flag
        root = None
        if mount.input is None:
            source = resolve(self._context(), flag.source)
            lowers: tuple[str, ...] = (self._unpack_context(source, cancellation),)
        else:
            source = flag.source
            diff_ids = inputs[mount.input].diff_ids
            root = self._store.tree(diff_ids)
            unpacking = partial(unpack, cancellation=cancellation)
            made = tuple(
                self._store.layer_directory(diff_id, diff_ids[:n], unpacking, cancellation=cancellation)
                for n, diff_id in enumerate(diff_ids)
            )
            lowers = made[::-1] or (self._scratch(),)
        return LayersMount(target=target, lowers=lowers, source=source, writable=not flag.readonly, root=root)

    def _unpack_context(self, path: str, cancellation: Cancellation) -> str:
        """Return a directory that has what the context has at `path`, in that place."""
        with self._lock:
            if path not in self._unpacked:
                directory = self._scratch()
                # What is sent belongs to nobody in particular: root, as with COPY.
                part = _part(self._context(), path, path, root_owned=True)
                unpack(part, directory, EMPTY, cancellation=cancellation)
                self._unpacked[path] = directory
            return self._unpacked[path]

    def _caches(
        self, op: RunCommand, inputs: Sequence[State], stack: contextlib.ExitStack, cancellation: Cancellation
    ) -> dict[str, tuple[str, bool]]:
        """Take the caches of `op` until `stack` ends; return the directory of each key, and whether nobody else has it.

        A cache that is mounted several times is taken once, as the mount that is strictest with others has it.
        """
        wanted: dict[str, RunMount] = {}
        for mount in op.mounts:
            if mount.flag.kind == "cache":
                key = cache_key(mount, inputs, self._store)
                other = wanted.setdefault(key, mount)
                wanted[key] = min(mount, other, key=lambda item: _STRICTNESS.index(item.flag.sharing))
        taken = {}
        # In one order for all, so that two steps never wait for each other's caches.
        for key, mount in sorted(wanted.items(), key=lambda item: item[0]):
            sharing = mount.flag.sharing
            fill = self._filling(mount, inputs, cancellation)
            path = stack.enter_context(self._store.caches.use(key, mount.flag.id, sharing, fill, cancellation))
            taken[key] = (path, sharing != "shared")
        return taken

    def _filling(self, mount: RunMount, inputs: Sequence[State], cancellation: Cancellation) -> Callable[[str], None]:
        flag = mount.flag

        def fill(directory: str) -> None:
            if mount.input is not None:
                tree, _ = self._source(mount, inputs)
                part = _part(tree, resolve(tree, flag.source), "", root_owned=False)
                unpack(part, directory, EMPTY, cancellation=cancellation)
            os.chown(directory, flag.uid or 0, flag.gid or 0)
            os.chmod(directory, 0o755 if flag.mode is None else flag.mode)

        return fill

    def _scratch(self) -> str:
        path = tempfile.mkdtemp(dir=self._directory)
        os.chmod(path, 0o755)  # noqa: S103 - the root of what a container sees
        return path


def cache_key(mount: RunMount, inputs: Sequence[State], store: Store) -> str:
    """Return what tells the directory of a cache mount from others.

    Raises `InvalidInput` for a source that is no directory, or is there without a stage or an image that has it.
    """
    flag = mount.flag
    begins = ""
    if mount.input is None and flag.source:
        raise InvalidInput(f"the cache mount at {flag.target} has a source but no from")
    if mount.input is not None:
        node = _shown(store.tree(inputs[mount.input].diff_ids), flag.source)
        if not isinstance(node, Directory):
            raise InvalidInput(f"the source of the cache mount at {flag.target} is not a directory")
        begins = str(digest_selection([Selected("", "", node)]))
    return repr((flag.id, begins, flag.mode, flag.uid, flag.gid))


def _shown(tree: Tree, source: str) -> Node:
    node = find(tree, resolve(tree, source))
    if node is None:
        raise InvalidInput(f'failed to compute cache key: "/{source.strip("/")}": not found')
    return node


def _part(tree: Tree, path: str, place: str, *, root_owned: bool) -> Layer:
    """Return the layer that puts what `tree` has at `path` to `place`, in directories as `tree` has them."""
    copies: dict[int, Node] = {}

    def copied(node: Node) -> Node:
        # One object for one inode, so that hard links stay what they are.
        if id(node) not in copies:
            copy = replace(node, children={}) if isinstance(node, Directory) else node
            copies[id(node)] = replace(copy, uid=0, gid=0) if root_owned else copy
        return copies[id(node)]

    changes: list[Put] = []
    names = place.split("/") if place else []
    for depth in range(1, len(names)):
        above = find(tree, "/".join(names[:depth]))
        if above is not None:
            changes.append(Put("/".join(names[:depth]), copied(above)))
    node = find(tree, path)
    if node is not None and place:
        changes.append(Put(place, copied(node)))
    if isinstance(node, Directory):
        changes.extend(Put(below, copied(child)) for below, child in walk(node, place))
    return Layer(tuple(changes))
