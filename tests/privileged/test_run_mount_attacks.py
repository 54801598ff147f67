"""RUN --mount against those who would be elsewhere, or wait for themselves."""

import io
from collections.abc import Iterator

import pytest

from imagewright.engine import Engine
from imagewright.errors import DockerfileError
from support.bases import busybox_base
from support.engines import Log, build, leftovers, reference

pytestmark = pytest.mark.privileged


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = str(tmp_path_factory.mktemp("engine"))
    with Engine(root) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        yield engine
        assert leftovers(root) == []


_STAGE = "FROM busybox AS evil\nRUN mkdir /o /e && touch /o/file && ln -s %s /o/sub && ln -s /proc/version /e/null\n"


@pytest.mark.parametrize("leads_to", ["/dev", "/proc", "/sys", "../../../../dev", "/o/../dev", "/etc", "sub"])
@pytest.mark.parametrize("inner", ["type=bind,from=evil,source=/e,rw", "type=tmpfs", "type=cache"])
def test_a_link_of_a_stage_moves_no_mount(engine: Engine, leads_to: str, inner: str) -> None:
    # A /dev of somebody else's making could let the runtime hide something else than what it means to.
    run = f"RUN --mount=type=bind,from=evil,source=/o,target=/c --mount={inner},target=/c/sub touch /x\n"
    with pytest.raises(DockerfileError, match=r"nothing can be mounted at /c/sub, .*: a link is in the way"):
        build(engine, f"{_STAGE % leads_to}FROM busybox\n{run}")


@pytest.mark.parametrize("sharing", ["locked", "private"])
@pytest.mark.parametrize("target", ["/c/sub", "/c/sub/deeper"])
def test_a_link_in_a_cache_moves_no_mount(engine: Engine, sharing: str, target: str) -> None:
    cache = f"--mount=type=cache,id={sharing},target=/c,sharing={sharing}"
    build(engine, f"FROM busybox\nRUN {cache} ln -sfn /dev /c/sub\n")
    with pytest.raises(DockerfileError, match="a link is in the way"):
        build(engine, f"FROM busybox\nRUN {cache} --mount=type=tmpfs,target={target} touch /x\n")


def test_mounts_inside_of_mounts_that_are_there(engine: Engine) -> None:
    log = Log()
    mounts = (
        "--mount=type=bind,from=busybox,target=/c --mount=type=tmpfs,target=/c/var --mount=type=cache,target=/c/var/x"
    )
    build(engine, f"FROM busybox\nRUN {mounts} ls /c/var && grep -c ' /c' /proc/mounts\n", log=log)
    assert log.output == "x\n3\n"


@pytest.mark.parametrize(
    ("target", "reason"), [("/c/new", "it does not exist"), ("/c/Dockerfile/x", "a file is in the way")]
)
def test_what_cannot_be_made_is_named(engine: Engine, target: str, reason: str) -> None:
    mounts = f"--mount=type=bind,target=/c --mount=type=tmpfs,target={target}"
    with pytest.raises(DockerfileError, match=f"nothing can be mounted at {target}, .*: {reason}"):
        build(engine, f"FROM busybox\nRUN {mounts} true\n")


@pytest.mark.parametrize("sharing", ["locked", "private", "shared"])
def test_a_step_does_not_wait_for_itself(engine: Engine, sharing: str) -> None:
    log = Log()
    mounts = (
        f"--mount=type=cache,id=twice,target=/a,sharing=locked --mount=type=cache,id=twice,target=/b,sharing={sharing}"
    )
    build(engine, f"FROM busybox\nRUN {mounts} echo {sharing} > /a/f && cat /b/f\n", log=log)
    assert log.output == f"{sharing}\n"
