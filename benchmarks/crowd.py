"""A hundred builds of one RUN each at the same time, and the memory that it takes.

Each builder is a new one, so that its memory is that of these builds. Clients are not counted; podman has no daemon, so
its programs are. BuildKit's clients are a hundred programs, whose start is part of the time.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from floors import Floor, sandbox
from measuring import timed
from memory import Watch, children
from peers import BuildKit, Engine, Peer
from rows import Goal, Row, Values, Workload
from world import World

from support.bases import busybox_base
from support.daemon import daemon
from support.dockerd import dockerd

__all__ = ["CROWD"]

_COUNT = 100


@contextlib.contextmanager
def _new(world: World, peer: Peer, directory: Path) -> Iterator[tuple[Peer, int]]:
    """Start another of `peer`; yield it, and the process that all of it descends from, 0 where there is none."""
    directory.mkdir(exist_ok=True)
    if isinstance(peer, BuildKit):
        with dockerd(str(directory)) as docker:
            Engine(peer.name, docker.socket, docker.process.pid).import_base(busybox_base(), "base")
            yield BuildKit(docker.host, peer.home), docker.process.pid
    elif not isinstance(peer, Engine):
        yield peer, 0
    elif not world.has(peer):
        yield peer, peer.root
    else:
        starting = daemon if peer == world.peers.ours else dockerd
        with starting(str(directory)) as server:
            engine = Engine(peer.name, server.socket, server.process.pid)
            engine.import_base(busybox_base(), "base")
            yield engine, engine.root


def _sample(world: World, peer: Peer, number: int) -> Values:
    count = world.scaled(_COUNT)
    contexts = [world.context(f"crowd{n}", None, f"FROM base:1\nRUN echo {n} > /number\n") for n in range(count)]
    with _new(world, peer, world.top / f"crowd-{peer.name}-{number}") as (builder, root):
        before = children()

        def build(n: int) -> None:
            try:
                builder.build(contexts[n], f"crowd{n}:{number}")
            except RuntimeError:
                # On a busy machine BuildKit gives up a few of so many; a second try is part of the time then.
                builder.build(contexts[n], f"crowd{n}:{number}")

        with Watch(lambda: {root} if root else children() - before) as watch, ThreadPoolExecutor(count) as pool:
            seconds = timed(lambda: list(pool.map(build, range(count))))
        return seconds, watch.most / 1e6


def _floors(world: World) -> tuple[Floor | None, ...]:
    one = sandbox(world)
    return Floor(f"{one.title}, one after the other", one.value / 1000 * world.scaled(_COUNT)), None


CROWD = Workload(
    (
        Row("crowd", "100 parallel builds with one RUN each", (Goal(0.6),)),
        Row("crowd-memory", "memory of the process tree in that (PSS)", (Goal(0.25),), unit="MB"),
    ),
    _sample,
    _floors,
)
