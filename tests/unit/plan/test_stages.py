from collections.abc import Sequence

import pytest

from imagewright.dockerfile import parse
from imagewright.errors import Cancelled, InvalidInput, NotFound
from imagewright.oci import Digest, ImageConfig, Platform, RunConfig
from imagewright.plan.graph import Place
from imagewright.plan.ops import Base
from imagewright.plan.stages import Stages, Start

LINUX = Platform("linux", "amd64")
PLACE = Place(3)
IMAGE = Base(
    Digest.of(b"image"),
    ImageConfig(
        architecture="amd64",
        os="linux",
        config=RunConfig(on_build=("COPY --from=first a b", "COPY --from=7 a b", "NONSENSE", "RUN x")),
    ),
)


class Images:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str, platform: Platform | None, place: Place, /) -> Base:
        assert platform in {None, LINUX}
        assert place is PLACE
        self.asked.append(name if platform is None else f"{name} for {platform}")
        if name == "stop":
            raise Cancelled("Build cancelled")
        if name == "gone":
            raise NotFound("gone")
        return IMAGE


def stages(text: str, images: Images | None = None, contexts: Sequence[str] = (), **variables: str) -> Stages:
    return Stages(
        parse(text.encode()),
        variables=variables.get,
        platform=LINUX,
        resolve=images or Images(),
        contexts=contexts,
    )


def test_starts() -> None:
    images = Images()
    found = stages("FROM $X AS one\nONBUILD USER u\nONBUILD RUN x\nFROM One\nFROM scratch\nFROM x\n", images, X="x")
    assert found.start(0, PLACE) == Start(base=IMAGE, triggers=IMAGE.config.run.on_build or ())
    assert found.start(1, PLACE) == Start(stage=0, triggers=("USER u", "RUN x"))
    assert found.start(2, PLACE) == Start()
    assert found.start(3, PLACE).base is IMAGE
    assert images.asked == ["x"]


def test_an_error_is_part_of_the_start_and_is_not_looked_for_again() -> None:
    images = Images()
    found = stages("FROM gone\nFROM gone\n", images)
    assert isinstance(found.start(0, PLACE).error, NotFound)
    assert found.start(0, PLACE).error is found.start(1, PLACE).error
    with pytest.raises(NotFound):
        found.image("gone", PLACE)
    assert images.asked == ["gone"]


def test_cancelled_is_no_part_of_anything() -> None:
    images = Images()
    found = stages("FROM stop\n", images)
    for _ in range(2):
        with pytest.raises(Cancelled):
            found.start(0, PLACE)
    assert images.asked == ["stop", "stop"]


def test_a_later_stage_is_no_stage_yet() -> None:
    found = stages("FROM later\nFROM x AS later\nFROM x\n")
    assert found.start(0, PLACE).base is IMAGE
    assert found.find_source("later", 1) is None
    assert found.find_source("LATER", 2) == 1


@pytest.mark.parametrize(("number", "stage"), [("0", 0), ("00", 0), ("+1", 1)])
def test_sources_by_number(number: str, stage: int) -> None:
    assert stages("FROM a\nFROM a\nFROM a\n").find_source(number, 2) == stage


@pytest.mark.parametrize(
    ("number", "message"),
    [("2", "refers to current build stage"), ("3", "index out of bounds"), ("-1", "index out of bounds")],
)
def test_numbers_of_no_earlier_stage(number: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}$"):
        stages("FROM a\nFROM a\nFROM a\n").find_source(number, 2)


def test_what_a_target_needs() -> None:
    text = """
        FROM a AS first
        FROM a AS second
        COPY --from=first x y
        FROM a AS third
        COPY --from=9 x y
        FROM second AS fourth
        COPY --from=2 x y
        COPY --from=elsewhere x y
        COPY x y
    """
    found = stages(text)
    assert found.needed(3) == (0, 1, 2, 3)
    assert found.needed(1) == (0, 1)
    assert found.needed(0) == (0,)


def test_triggers_of_stages_need_stages_too() -> None:
    text = "FROM scratch AS a\nFROM scratch AS b\nONBUILD NONSENSE\nONBUILD COPY --from=a x y\nFROM b\n"
    assert stages(text).needed(2) == (0, 1, 2)


def test_what_is_needed_is_known_without_any_image() -> None:
    images = Images()
    assert stages("FROM scratch AS first\nFROM a\nFROM ${X:?no}\nFROM a\n", images).needed(3) == (3,)
    assert stages("FROM ${X:?no}\n", images).needed(0) == (0,)
    assert images.asked == []


def test_an_image_for_a_platform_is_another_one() -> None:
    images = Images()
    found = stages("FROM x\nFROM --platform=linux/amd64 x\nFROM --platform=$P x\n", images, P="amd64")
    assert not found.has_image("x")
    assert {found.start(index, PLACE).base for index in range(3)} == {IMAGE}
    assert images.asked == ["x", "x for linux/amd64"]
    assert found.has_image("x")


def test_repeated_names() -> None:
    found = stages("FROM a AS x\nFROM a\nFROM a\nFROM a AS X\nFROM a AS y\n")
    assert [found.repeated(index) for index in range(5)] == [False, False, False, True, False]
    assert found.needed(2) == (2,)
    assert found.needed(4) == (0, 1, 2, 3, 4)


def test_a_stage_in_whose_place_a_context_stands_has_and_needs_nothing_of_its_own() -> None:
    images = Images()
    text = "FROM first AS one\nFROM one AS Two\nCOPY --from=one a b\nONBUILD RUN x\nFROM two\nCOPY --from=1 a b\n"
    found = stages(text, images, ["two"])
    assert found.needed(2) == (1, 2)
    assert [found.replaced(index) for index in range(3)] == [False, True, False]
    assert (found.instructions(1), len(found.instructions(2))) == ((), 1)
    start = found.start(1, PLACE)
    # What is to be done after a FROM of the image belongs to whoever asks for the stage.
    assert (start.base, start.triggers) == (IMAGE, ())
    assert found.start(2, PLACE) == Start(stage=1)
    assert images.asked == ["two"]


def test_a_stage_in_whose_place_a_context_stands_may_be_for_a_platform() -> None:
    images = Images()
    start = stages("FROM --platform=linux/amd64 x AS one\n", images, ["one"]).start(0, PLACE)
    assert start == Start(base=IMAGE, platform=LINUX)
    assert images.asked == ["one for linux/amd64"]
