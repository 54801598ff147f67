from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from imagewright.build.bases import Bases
from imagewright.build.request import BuildRequest
from imagewright.cancellation import Cancellation
from imagewright.errors import NotFound
from imagewright.events import Event, Reporter, Status, StepStarted
from imagewright.oci import Digest, ImageConfig, Platform, RootfsConfig
from imagewright.plan import Base, Node, Place, Scratch, Step
from imagewright.solve import Transcript
from imagewright.store import Store

LINUX, OTHER = Platform("linux", "amd64"), Platform("linux", "arm64")
NODE = Node(index=0, stage=0, op=Scratch())
STEP = Step(2, 3, "FROM x")


class Finder:
    def __init__(self, *layers: Digest) -> None:
        config = ImageConfig(rootfs=RootfsConfig(diff_ids=tuple(map(str, layers))))
        self.base = Base(Digest.of(b"image"), config)
        self.asked: list[tuple[str, Platform | None, Cancellation]] = []

    def __call__(
        self, name: str, platform: Platform | None, _: BuildRequest, report: Reporter, cancellation: Cancellation
    ) -> Base:
        self.asked.append((name, platform, cancellation))
        report(Status("Pulling"))
        return self.base


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


def test_the_step_is_told_before_the_image_comes_and_only_once(store: Store) -> None:
    events: list[Event] = []
    transcript = Transcript(events.append)
    told: set[Step] = set()
    find = Finder()
    with store.lease() as lease:
        bases = Bases(find, BuildRequest(), transcript=transcript, lease=lease, told=told)
        cancellation = Cancellation()

        def batches() -> Iterator[Sequence[Node]]:
            assert bases("x", None, Place(1, STEP)) is find.base
            yield [NODE]

        more = bases.advance(batches())
        assert find.asked == []
        assert (more(cancellation), more(cancellation)) == ([NODE], ())
        assert events == []
        transcript.finish(0)
    assert events == [StepStarted(2, 3, "FROM x"), Status("Pulling")]
    assert told == {STEP}
    assert find.asked == [("x", None, cancellation)]


@pytest.mark.parametrize(
    ("of_build", "of_from", "expected"),
    [(None, None, None), (LINUX, None, LINUX), (LINUX, OTHER, OTHER), (None, OTHER, OTHER)],
)
def test_the_platform_that_is_asked_for(
    store: Store, of_build: Platform | None, of_from: Platform | None, expected: Platform | None
) -> None:
    find = Finder()
    events: list[Event] = []
    with store.lease() as lease:
        request = BuildRequest(platform=of_build)
        bases = Bases(find, request, transcript=Transcript(events.append), lease=lease, told=set())
        bases("x", of_from, Place(0))
    assert find.asked[0][1] == expected
    assert events == [Status("Pulling")]


def test_the_layers_must_stay(store: Store) -> None:
    find = Finder(Digest.of(b"gone"))
    with store.lease() as lease:
        bases = Bases(find, BuildRequest(), transcript=Transcript(lambda _: None), lease=lease, told=set())
        with pytest.raises(NotFound):
            bases("x", None, Place(0))
