import pytest

from imagewright.dockerfile import MountFlag
from imagewright.errors import InvalidInput
from imagewright.plan import RunMount
from imagewright.plan.mounts import plan_mounts


def plan(*texts: str, workdir: str = "/w") -> tuple[tuple[RunMount, ...], tuple[int, ...]]:
    return plan_mounts(texts, expand=lambda word: word, workdir=workdir, find_source={"a": 3, "b": 5}.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=x/../y/", MountFlag(target="/w/y")),
        ("source=s", MountFlag(source="s", target="/w")),
        ("target=//x//y", MountFlag(target="/x/y")),
        ("target=/../x", MountFlag(target="/x")),
        ("type=cache,target=c", MountFlag(kind="cache", target="/w/c", id="/w/c", readonly=False)),
        ("type=cache,target=c,id=n", MountFlag(kind="cache", target="/w/c", id="n", readonly=False)),
        ("type=secret,id=d/s", MountFlag(kind="secret", target="/run/secrets/s", id="d/s")),
        ("type=secret,id=d/", MountFlag(kind="secret", target="/run/secrets/d", id="d/")),
        ("type=secret,source=s", MountFlag(kind="secret", target="/run/secrets/s", id="s")),
        ("type=secret,target=/x/s", MountFlag(kind="secret", target="/x/s", id="s")),
        ("type=secret,id=s,env=E", MountFlag(kind="secret", id="s", env="E")),
        ("type=secret,id=s,env=E,target=/t", MountFlag(kind="secret", id="s", env="E", target="/t")),
        ("type=ssh", MountFlag(kind="ssh", target="/run/buildkit/ssh_agent.0", id="default")),
        ("type=ssh,target=/s,id=k", MountFlag(kind="ssh", target="/s", id="k")),
    ],
)
def test_what_goes_without_saying(text: str, expected: MountFlag) -> None:
    assert plan(text) == ((RunMount(expected),), ())


def test_what_is_shown_is_an_input() -> None:
    mounts, nodes = plan("from=a,target=/1", "from=b,target=/2", "type=cache,from=a,target=/3", "target=/4")
    assert nodes == (3, 5)
    assert [mount.input for mount in mounts] == [1, 2, 1, None]


def test_agents_are_counted() -> None:
    mounts, _ = plan("type=ssh", "type=cache,target=/c", "type=ssh,id=k")
    assert [mount.flag.target for mount in mounts] == ["/run/buildkit/ssh_agent.0", "/c", "/run/buildkit/ssh_agent.1"]


def test_canonical_texts_differ_where_mounts_do() -> None:
    texts = ["target=/a", "target=/b", "target=/a,rw", "target=/a,source=b", "target=/a,from=a", "type=tmpfs,target=/a"]
    texts += ["type=tmpfs,target=/a,size=1", "type=cache,target=/a", "type=cache,target=/a,mode=0", "type=ssh"]
    texts += ["type=cache,target=/a,sharing=locked", "type=secret,id=a", "type=secret,id=a,env=B", "type=secret,id=b"]
    assert len({plan(text)[0][0].canonical() for text in texts}) == len(texts)


def test_errors_pass() -> None:
    with pytest.raises(InvalidInput):
        plan("type=nope")
    with pytest.raises(KeyError):
        plan("from=c,target=/x")
