"""The mounts of a RUN that has ended, for whoever looks around in what it left."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from imagewright.build.mounting import Mounted, cache_key
from imagewright.build.state import State
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput, NotFound
from imagewright.events import BuildWarning, Reporter
from imagewright.filesystem import Tree, find, resolve
from imagewright.oci import Digest
from imagewright.plan import RunCommand, RunMount
from imagewright.sandbox import AgentMount, LayersMount, Mount, SecretMount, TemporaryMount, unpack
from imagewright.store import KeptMount, Store

__all__ = ["KeptMounts", "keep_mounts"]


def keep_mounts(op: RunCommand, inputs: Sequence[State], store: Store) -> tuple[KeptMount, ...]:
    """Return what there is to remember of the mounts of `op`: where things are, and none of what they hold."""
    return tuple(_kept(mount, inputs, store) for mount in op.mounts)


def _kept(mount: RunMount, inputs: Sequence[State], store: Store) -> KeptMount:
    flag = mount.flag
    key = ""
    if flag.kind == "cache":
        # Without its source there was no such cache, and that may be why the step failed.
        with contextlib.suppress(InvalidInput):
            key = cache_key(mount, inputs, store)
    shown = flag.kind == "bind" and mount.input is not None
    return KeptMount(
        kind=flag.kind,
        target=flag.target,
        source=flag.source if flag.kind == "bind" else "",
        id=flag.id,
        key=key,
        sharing=flag.sharing,
        readonly=flag.readonly,
        size=flag.size,
        mode=flag.mode,
        uid=flag.uid,
        gid=flag.gid,
        env=flag.env,
        layers=inputs[mount.input].diff_ids if shown and mount.input is not None else None,
    )


class KeptMounts:
    """Makes mounts that were kept once more, in `directory`, which is empty and in the store.

    `keep` keeps a layer from being removed. What cannot be had again is told to `report`, and left out. What is written
    to a cache is thrown away, as is everything else.
    """

    def __init__(
        self,
        *,
        store: Store,
        directory: str,
        secrets: Mapping[str, bytes],
        agents: Mapping[str, str],
        keep: Callable[[Digest], None],
        report: Reporter,
    ) -> None:
        self._store = store
        self._directory = directory
        self._secrets = secrets
        self._agents = agents
        self._keep = keep
        self._report = report
        self._told: set[str] = set()

    @contextlib.contextmanager
    def made(self, kept: Sequence[KeptMount], tree: Tree, cancellation: Cancellation) -> Iterator[Mounted]:
        """Yield the mounts in `tree`; they are there until the end of the `with`."""
        mounts: list[Mount] = []
        env: list[str] = []
        secret_env: list[str] = []
        with contextlib.ExitStack() as stack:
            for item in kept:
                target = f"/{resolve(tree, item.target)}"
                match item.kind:
                    case "bind":
                        mounts.extend(self._bind(item, target))
                    case "tmpfs":
                        mounts.append(TemporaryMount(target=target, size=item.size))
                    case "cache" if not item.key:
                        self._tell(f"{item.target} is not there: the cache has nothing to begin with")
                    case "cache":
                        path = stack.enter_context(self._cache(item, cancellation))
                        mounts.append(LayersMount(target=target, lowers=(path,), writable=not item.readonly))
                    case "secret" if item.id in self._secrets:
                        data = self._secrets[item.id]
                        if item.target:
                            owner = {"uid": item.uid or 0, "gid": item.gid or 0}
                            mode = 0o400 if item.mode is None else item.mode
                            mounts.append(SecretMount(target=target, data=data, mode=mode, **owner))
                        if item.env:
                            secret_env.append(f"{item.env}={data.decode('utf-8', 'surrogateescape')}")
                    case "ssh" if item.id in self._agents:
                        owner = {"uid": item.uid or 0, "gid": item.gid or 0}
                        mode = 0o600 if item.mode is None else item.mode
                        mounts.append(AgentMount(target=target, socket=self._agents[item.id], mode=mode, **owner))
                        env.append(f"SSH_AUTH_SOCK={target}")
                    case "secret":
                        self._tell(f"the secret {item.id} is not kept: lend it with --secret id={item.id}")
                    case "ssh":
                        self._tell(f"the ssh agent {item.id} is not here: lend one with --ssh {item.id}")
            yield Mounted(tuple(mounts), tuple(env[:1]), tuple(secret_env))

    def _bind(self, item: KeptMount, target: str) -> Iterator[LayersMount]:
        if item.layers is None:
            self._tell(f"{item.target} is not there: the build context is gone")
            return
        lowers = []
        try:
            for number, diff_id in enumerate(item.layers):
                self._keep(diff_id)
                lowers.append(self._store.layer_directory(diff_id, item.layers[:number], unpack))
            tree = self._store.tree(item.layers)
        except NotFound:
            self._tell(f"{item.target} is not there: the layers of its stage or image are gone")
            return
        if find(tree, resolve(tree, item.source)) is None:
            self._tell(f"{item.target} is not there: its stage or image has no {item.source}")
            return
        if not lowers:
            empty = os.path.join(self._directory, f"empty{len(os.listdir(self._directory))}")
            os.mkdir(empty, 0o755)
            lowers.append(empty)
        yield LayersMount(
            target=target, lowers=tuple(lowers[::-1]), source=item.source, writable=not item.readonly, root=tree
        )

    def _cache(self, item: KeptMount, cancellation: Cancellation) -> contextlib.AbstractContextManager[str]:
        def fill(directory: str) -> None:
            self._tell(f"the cache at {item.target} is empty: it is gone")
            os.chown(directory, item.uid or 0, item.gid or 0)
            os.chmod(directory, 0o755 if item.mode is None else item.mode)

        return self._store.caches.use(item.key, item.id, item.sharing, fill, cancellation)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._report(BuildWarning(text))
