import pytest

from imagewright.errors import InvalidInput, NotFound
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store import ImageQuery
from imagewright.store.catalogue import Catalogue, stored_name
from imagewright.store.listing import Entry

FIRST = Digest("ab" * 32)
SECOND = Digest("ac" * 32)
THIRD = Digest("0" * 64)
MANIFEST = Digest.of(b"manifest")


def entry(image: Digest, *names: str, created_ns: int = 0, parent: Digest | None = None) -> Entry:
    return Entry.make(image, parent=parent, created_ns=created_ns, size=1, names=names, labels=None, containers=0)


def catalogue(*entries: Entry) -> Catalogue:
    return Catalogue({item.summary.id: item for item in entries}, 1)


@pytest.mark.parametrize(
    "name",
    [
        "busybox",
        "busybox:latest",
        "library/busybox",
        "docker.io/busybox:latest",
        "docker.io/library/busybox",
        "index.docker.io/busybox",
        f"busybox@{MANIFEST}",
        f"busybox:whatever@{MANIFEST}",
        FIRST.encoded,
        str(FIRST),
        "ab",
        "sha256:ab",
        FIRST.short,
    ],
)
def test_what_names_an_image(name: str) -> None:
    images = catalogue(
        entry(FIRST, "docker.io/library/busybox:latest", f"docker.io/library/busybox@{MANIFEST}"), entry(SECOND)
    )
    assert images.resolve(name) == FIRST


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nope", "nope:latest"),
        ("nope:1", "nope:1"),
        ("docker.io/library/nope", "nope:latest"),
        ("localhost:5000/q:1", "localhost:5000/q:1"),
        (f"a/b@{MANIFEST}", f"a/b@{MANIFEST}"),
        (f"nope:2@{MANIFEST}", f"nope:2@{MANIFEST}"),
        (str(MANIFEST), str(MANIFEST)),
        (MANIFEST.encoded, str(MANIFEST)),
        ("sha256:ffff", "sha256:ffff"),
        ("ffff", "ffff:latest"),
        ("abzz", "abzz:latest"),
        ("a", "a:latest"),
        ("ab:1", "ab:1"),
    ],
)
def test_what_names_none(name: str, text: str) -> None:
    with pytest.raises(NotFound) as caught:
        catalogue(entry(FIRST), entry(SECOND)).resolve(name)
    assert str(caught.value) == f"No such image: {text}"


def test_what_cannot_be_a_name() -> None:
    with pytest.raises(InvalidInput, match="repository name must be lowercase"):
        catalogue().resolve("AB")
    with pytest.raises(InvalidInput, match="invalid reference format"):
        catalogue().resolve("a:b:c")


def test_a_reference_comes_before_the_beginning_of_an_id() -> None:
    images = catalogue(entry(FIRST), entry(THIRD, "docker.io/library/abab:latest"))
    assert images.resolve("abab") == THIRD
    assert images.resolve("sha256:abab") == FIRST


def test_one_digit_is_enough() -> None:
    assert catalogue(entry(FIRST), entry(THIRD)).resolve("0") == THIRD


def test_names_move() -> None:
    name = "docker.io/library/x:1"
    images = catalogue(entry(FIRST, name), entry(SECOND))
    images.change({FIRST: entry(FIRST), SECOND: entry(SECOND, name)}, 2)
    assert images.find(Reference.parse("x:1")) == SECOND
    assert images.names() == [(Reference.parse("x:1"), SECOND)]
    images.change({SECOND: None}, 3)
    assert images.find(Reference.parse("x:1")) is None
    assert len(images) == 1
    assert images.generation == 3
    images.change({SECOND: None}, 4)
    assert len(images) == 1


def test_order_is_newest_second_first_then_id() -> None:
    second = 1_000_000_000
    images = catalogue(
        entry(FIRST, created_ns=5 * second),
        entry(SECOND, created_ns=7 * second),
        entry(THIRD, created_ns=5 * second + 9),
    )
    assert [image.id for image in images.list(ImageQuery())] == [SECOND, THIRD, FIRST]
    images.change({SECOND: None}, 2)
    fourth = Digest("1" * 64)
    images.change({fourth: entry(fourth, created_ns=5 * second + 1)}, 3)
    assert [image.id for image in images.list(ImageQuery())] == [THIRD, fourth, FIRST]


def test_summaries_keep_their_identity_and_answers_belong_to_the_caller() -> None:
    images = catalogue(entry(FIRST), entry(SECOND))
    answer = images.list(ImageQuery())
    images.change({SECOND: None}, 2)
    assert images.list(ImageQuery())[0] is answer[0]
    answer.clear()
    assert len(images.list(ImageQuery())) == 1


def test_parents_are_hidden_until_their_children_go() -> None:
    images = catalogue(entry(FIRST), entry(SECOND, parent=FIRST), entry(THIRD, parent=FIRST))
    assert {image.id for image in images.list(ImageQuery())} == {SECOND, THIRD}
    images.change({SECOND: None}, 2)
    assert {image.id for image in images.list(ImageQuery())} == {THIRD}
    images.change({THIRD: None}, 3)
    assert {image.id for image in images.list(ImageQuery())} == {FIRST}


def test_bounds_are_anded() -> None:
    images = catalogue(*(entry(Digest(f"{number}" * 64), created_ns=number) for number in range(1, 7)))

    def ids(**query: tuple[str, ...] | tuple[int, ...]) -> list[int]:
        return sorted(image.created_ns for image in images.list(ImageQuery(**query)))  # type: ignore[arg-type]

    assert ids(before=("4",)) == [1, 2, 3]
    assert ids(since=("4",)) == [5, 6]
    assert ids(before=("4", "3")) == [1, 2]
    assert ids(since=("2", "4")) == [5, 6]
    assert ids(since=("2",), before=("5",)) == [3, 4]
    assert ids(until_ns=(6, 3), before=("5",)) == [1, 2]
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        ids(before=("nope",))


def test_plain_names_are_looked_up() -> None:
    images = catalogue(
        entry(FIRST, "docker.io/library/x:1", "docker.io/library/x:2", "docker.io/ns/y:1"),
        entry(SECOND, "docker.io/library/x:3", created_ns=9_000_000_000),
        entry(THIRD, "docker.io/ns/y:2"),
    )

    def ask(*patterns: str) -> list[tuple[Digest, tuple[str, ...]]]:
        return [(image.id, image.tags) for image in images.list(ImageQuery(references=patterns))]

    assert ask("x") == [(SECOND, ("x:3",)), (FIRST, ("x:1", "x:2"))]
    assert ask("ns/y:2", "x:1") == [(THIRD, ("ns/y:2",)), (FIRST, ("x:1",))]
    assert ask("X", "library/x", "y") == []
    images.change({FIRST: None}, 2)
    assert ask("docker.io/library/x") == [(SECOND, ("x:3",))]
    assert ask("ns/y") == [(THIRD, ("ns/y:2",))]
    images.change({SECOND: None}, 3)
    assert ask("x") == []


def test_more_questions_than_are_remembered() -> None:
    images = catalogue(entry(FIRST, "docker.io/library/x:1"))
    for number in range(100):
        assert images.list(ImageQuery(references=(f"y{number}",))) == []
    assert len(images.list(ImageQuery(references=("x",)))) == 1


def test_stored_names() -> None:
    assert stored_name(Reference.parse("x")) == "docker.io/library/x:latest"
    assert stored_name(Reference.parse(f"x:1@{MANIFEST}")) == f"docker.io/library/x@{MANIFEST}"


def test_labels_are_looked_up_and_follow_changes() -> None:
    def labelled(image: Digest, value: str) -> Entry:
        labels = {"k": value, "n": "1"}
        return Entry.make(image, parent=None, created_ns=0, size=1, names=(), labels=labels, containers=0)

    def ask(*labels: str) -> list[Digest]:
        return [image.id for image in images.list(ImageQuery(labels=labels))]

    others = [entry(Digest.of(b"%d" % number)) for number in range(9)]
    images = catalogue(labelled(FIRST, "1"), labelled(SECOND, "2"), *others)
    assert (ask("k=1"), ask("k=2", "n=1"), ask("k=3"), ask("k=")) == ([FIRST], [SECOND], [], [])
    images.change({FIRST: labelled(FIRST, "3"), SECOND: None}, 2)
    assert (ask("k=1"), ask("k=3"), ask("k=2")) == ([], [FIRST], [])
    for number in range(20):
        assert ask(f"other{number}=1") == []
    assert ask("k=3") == [FIRST]
