from hashlib import sha256

from imagewright.build.known_contexts import KnownContext, KnownContexts, Recording, Taken
from imagewright.oci import Digest
from imagewright.plan import CopyFiles

MEBIBYTE = 1 << 20


def blocks(*pieces: bytes) -> tuple[bytes, ...] | None:
    recording = Recording()
    for piece in pieces:
        recording.feed(piece)
    return recording.finish()


def known(text: str, asked: str = "", *, dockerfile: bytes = b"FROM scratch") -> KnownContext:
    return KnownContext((text.encode(),), asked, dockerfile, "Dockerfile")


def test_blocks_depend_on_the_bytes_and_not_on_how_they_come() -> None:
    data = bytes(range(256)) * 4096 * 3
    whole = blocks(data)
    assert whole is not None
    assert whole[0] == sha256(data[:MEBIBYTE]).digest()
    assert len(whole) == 4
    assert blocks(data[:10], data[10:MEBIBYTE], data[MEBIBYTE:-1], data[-1:]) == whole
    assert blocks(data[:-1]) != whole
    assert blocks(data[:MEBIBYTE]) != blocks(data[: MEBIBYTE + 1])


def test_what_is_too_large_has_no_blocks() -> None:
    piece = bytes(MEBIBYTE)
    assert blocks(*[piece] * 1023, piece[1:]) is not None
    assert blocks(*[piece] * 1024) is None
    assert blocks(*[piece] * 1100) is None


def test_no_context_is_the_beginning_of_another() -> None:
    one, two = blocks(bytes(MEBIBYTE)), blocks(bytes(2 * MEBIBYTE))
    assert one is not None
    assert two is not None
    assert KnownContext(two, "", b"", "").begins_with([])
    assert KnownContext(two, "", b"", "").begins_with(one[:1])
    assert not KnownContext(one, "", b"", "").begins_with(two[:2])
    assert not KnownContext(two, "", b"", "").begins_with(one)


def test_what_a_copy_takes_is_kept_by_all_that_it_says() -> None:
    context = known("a")
    copying = CopyFiles(sources=("a",), destination="/")
    taken = Taken(Digest.of(b"a"), "file:1")
    context.remember(copying, taken)
    assert context.find(copying) == taken
    assert context.find(CopyFiles(sources=("a",), destination="/", exclude=("b",))) is None
    assert context.find(CopyFiles(sources=("a", "b"), destination="/")) is None


def test_what_copies_take_is_kept_of_so_many() -> None:
    context = known("a")
    copies = [CopyFiles(sources=(str(number),), destination="/") for number in range(300)]
    for copying in copies:
        context.remember(copying, Taken(Digest.of(b""), ""))
    assert [context.find(copying) is not None for copying in copies] == [True] * 256 + [False] * 44


def test_contexts_are_kept_with_the_dockerfile_that_was_asked_for() -> None:
    contexts = KnownContexts()
    first, other = known("a"), known("a", "other")
    assert contexts.add(first) is first
    assert contexts.add(other) is other
    assert contexts.add(known("a")) is first
    assert contexts.candidates("") == [first]
    assert contexts.candidates("none") == []


def test_the_contexts_that_were_not_seen_for_longest_go() -> None:
    contexts = KnownContexts()
    many = [known(str(number)) for number in range(32)]
    for context in [*many, many[0], known("new")]:
        contexts.add(context)
    kept = contexts.candidates("")
    assert many[0] in kept
    assert many[1] not in kept
    assert len(kept) == len(many)


def test_a_large_dockerfile_is_not_kept() -> None:
    contexts = KnownContexts()
    contexts.add(known("a", dockerfile=bytes(1 << 17)))
    assert contexts.candidates("") == []
