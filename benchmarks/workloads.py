"""What is built, one build at a time: each workload, its goal, and the least that the machine could do for it."""

import functools
from collections.abc import Callable
from pathlib import Path

import floors
from floors import Floor
from measuring import timed
from peers import Engine, Peer, Podman
from rows import Goal, Row, Values, Workload
from trees import Context, edited
from world import World

__all__ = ["BUILDS", "SAVE"]


Sample = Callable[[World, Peer, int], Values]
Least = Callable[[World], tuple[Floor | None, ...]]


def _build(key: str, tree: Callable[[World, int], Path | None], dockerfile: str, *, network: str = "none") -> Sample:
    """Return what measures one build without the cache."""

    def sample(world: World, peer: Peer, number: int) -> Values:
        context = world.context(key, tree(world, number), dockerfile)
        return (timed(lambda: peer.build(context, f"{key}:{number}", network=network)),)

    return sample


def _step_cost(network: str) -> Sample:
    """Return what measures what one of eleven more `RUN true` takes."""

    def sample(world: World, peer: Peer, number: int) -> Values:
        one = world.context("run-one", None, "FROM base:1\nRUN true\n")
        more = world.context("run-twelve", None, "FROM base:1\n" + "RUN true\n" * 12)
        least = timed(lambda: peer.build(one, f"one:{number}", network=network))
        return (1000 * (timed(lambda: peer.build(more, f"twelve:{number}", network=network)) - least) / 11,)

    return sample


def _small(world: World, number: int) -> Path:
    return world.small(number)


def _other_small(world: World, number: int) -> Path:
    # A store that knows a file already is not what is measured.
    return world.small(100 + number)


def _copied(key: str, tree: Callable[[World, int], Path]) -> Least:
    return lambda world: (floors.copied(world, world.context(key, tree(world, 0), "").tar),)


def _unpacked(key: str, tree: Callable[[World, int], Path]) -> Least:
    return lambda world: (floors.unpacked(world, world.context(key, tree(world, 0), "").tar),)


# Thirty steps of which five do work: what seeds the cache would else take longer than what is measured.
CACHED = "FROM base:1\n" + "".join(
    ["COPY . /data\n", *(f"RUN true {n}\n" for n in range(4)), *(f"ENV V{n}={n}\n" for n in range(24))]
)
EDITED = "FROM base:1\n" + "".join(
    [*(f"ENV V{n}={n}\n" for n in range(12)), "COPY . /src\n", "RUN true\n", *(f"ENV W{n}={n}\n" for n in range(5))]
)
STAGES = (
    "".join(f"FROM base:1 AS s{n}\nRUN sleep 0.2; echo {n} > /{n}\nRUN sleep 0.2\n" for n in range(4))
    + "FROM base:1\n"
    + "".join(f"COPY --from=s{n} /{n} /{n}\n" for n in range(4))
)
UNPACKED = "FROM base:1\nCOPY . /data\nRUN true\n"


def _seed_cached(world: World, peer: Peer) -> None:
    peer.build(world.context("cached", world.small(0), CACHED), "cached:seed", cache=True)


def _cached(world: World, peer: Peer, number: int) -> Values:
    context = world.context("cached", world.small(0), CACHED)
    return (timed(lambda: peer.build(context, f"cached:{number}", cache=True)),)


def _seed_edited(world: World, peer: Peer) -> None:
    peer.build(world.context("edited", world.small(0), EDITED), "edited:seed", cache=True)


@functools.cache
def _edit(context: Context, number: int) -> Context:
    return edited(context, f"edit{number}", f"edit {number}\n")


def _edited(world: World, peer: Peer, number: int) -> Values:
    context = _edit(world.context("edited", world.small(0), EDITED), number)
    return (timed(lambda: peer.build(context, f"edited:{number}", cache=True)),)


def _written_by_run(world: World) -> Context:
    """Return the context whose one file is the tar of 20,000 files, 250 MB."""
    files = world.run_tree()
    top = world.top / "contexts" / "writing-tree"
    if not top.exists():
        top.mkdir(parents=True)
        (top / "tree.tar").hardlink_to(files.tar)
    return world.context("writing", top, "FROM base:1\nCOPY tree.tar /in/\n")


def _seed_writing(world: World, peer: Peer) -> None:
    peer.build(_written_by_run(world), "writing:base", cache=True)


def _writing(world: World, peer: Peer, number: int) -> Values:
    context = world.context("writing-run", None, "FROM writing:base\nRUN mkdir /out && tar xmf /in/tree.tar -C /out\n")
    return (timed(lambda: peer.build(context, f"writing:{number}")),)


def _save(world: World, peer: Peer, number: int) -> Values:
    if not isinstance(peer, Engine | Podman):
        raise TypeError(peer.name)
    target = world.top / f"saved-{peer.name}-{number}.tar"
    return (timed(lambda: peer.save("saved:1", target)),)


def _seed_save(world: World, peer: Peer) -> None:
    dockerfile = "FROM base:1\n" + "".join(f"COPY model{n}.bin /\n" for n in range(8))
    peer.build(world.context("saved", world.large(-1, 500_000_000, 8), dockerfile), "saved:1")


BUILDS: tuple[Workload, ...] = (
    Workload(
        (Row("copy-small", "COPY of 20,000 files, cold, FROM scratch", (Goal(0.15),)),),
        _build("copy-small", _small, "FROM scratch\nCOPY . /\n"),
        _copied("copy-small", _small),
    ),
    Workload(
        (Row("copy-site", "the same of a site-packages tree (11,600 files, 250 MB)", (Goal(0.15),)),),
        _build("copy-site", lambda world, number: world.site(number), "FROM scratch\nCOPY . /\n"),
        _copied("copy-site", lambda world, number: world.site(number)),
    ),
    Workload(
        (Row("copy-large", "COPY of 1.6 GB in twelve files", (Goal(0.25),)),),
        _build("copy-large", lambda world, number: world.large(number), "FROM scratch\nCOPY . /\n"),
        _copied("copy-large", lambda world, number: world.large(number)),
    ),
    Workload(
        (Row("run-none", "one more `RUN true` of eleven, no network", (Goal(0.6),), unit="ms"),),
        _step_cost("none"),
        lambda world: (floors.sandbox(world),),
        rounds=5,
        podman_quick=True,
    ),
    Workload(
        (Row("run-default", "the same with the default network", (Goal(0.25),), unit="ms"),),
        _step_cost("default"),
        lambda world: (floors.sandbox(world),),
        rounds=5,
        podman_quick=True,
    ),
    Workload(
        (Row("copy-run", "COPY of 20,000 files, then a RUN", (Goal(0.5),)),),
        _build("copy-run", _other_small, UNPACKED),
        _unpacked("copy-run", _other_small),
    ),
    Workload(
        (Row("run-writes", "a RUN that writes 20,000 files, 250 MB", (Goal(0.8),)),),
        _writing,
        lambda world: (floors.unpacked(world, world.run_tree().tar),),
        rounds=3,
        seed=_seed_writing,
    ),
    Workload(
        (
            Row(
                "cached",
                "cached rebuild, 30 steps, 20,000 files",
                (Goal(0.8, "BuildKit"), Goal(0.1, "classic")),
            ),
        ),
        _cached,
        lambda world: (floors.hashed(world.context("cached", world.small(0), CACHED).tar),),
        rounds=5,
        podman_rounds=0,
        seed=_seed_cached,
    ),
    Workload(
        (Row("edited", "one file of 20,000 edited, COPY + RUN of 20 steps again", (Goal(0.5),)),),
        _edited,
        _unpacked("edited", _small),
        seed=_seed_edited,
    ),
    Workload(
        (Row("stages", "four stages of two RUN each (sleep 0.2 s)", (Goal(0.7),)),),
        _build("stages", lambda _world, _number: None, STAGES, network="default"),
        lambda _world: (Floor("the sleeps of one stage", 0.4),),
        rounds=5,
        podman_quick=True,
    ),
)

SAVE = Workload(
    (Row("save", "save of 500 MB", (Goal(0.7),)),),
    _save,
    lambda world: (floors.copied(world, world.context("saved", world.large(-1, 500_000_000, 8), "").tar),),
    rounds=3,
    peers=("imagewright", "classic", "podman"),
    seed=_seed_save,
)
