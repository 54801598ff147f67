import io
import tarfile
import time
from collections.abc import Callable

import pytest

from imagewright.archive import Entry, Limits, read_entries
from imagewright.errors import InvalidInput
from unit.archive.raw_tar import END, Stream, header, member, padded, pax

INVALID = "^archive/tar: invalid tar header$"
CUT = "^unexpected EOF$"
TOO_LONG = "^archive/tar: header field too long$"


def read(data: bytes, limits: Limits | None = None, step: int = 1 << 20) -> list[tuple[Entry, bytes]]:
    entries = read_entries(Stream(data, step), limits=limits or Limits())
    return [(entry, b"".join(entry.pieces())) for entry in entries]


def one(data: bytes) -> Entry:
    ((entry, _),) = read(data)
    return entry


def test_reads_what_a_header_says() -> None:
    data = member(
        b"d/f", b"hello", mode=b"0104755\0", uid=b"0000017\0", gid=b"0000021\0", mtime=b"%011o\0" % 1_700_000_000
    )
    ((entry, content),) = read(data + END)
    assert (entry.path, entry.kind, entry.mode, entry.uid, entry.gid) == ("d/f", "file", 0o4755, 15, 17)
    assert (entry.size, entry.mtime_ns, entry.link, entry.xattrs) == (5, 1_700_000_000 * 10**9, "", {})
    assert (entry.offset, content) == (512, b"hello")


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        (b"\0", "file"),
        (b"0", "file"),
        (b"7", "file"),
        (b"1", "link"),
        (b"2", "symlink"),
        (b"3", "character"),
        (b"4", "block"),
        (b"5", "directory"),
        (b"6", "fifo"),
    ],
)
def test_knows_the_kinds(kind: bytes, meaning: str) -> None:
    assert one(header(kind=kind) + END).kind == meaning


@pytest.mark.parametrize("kind", [b"V", b"M", b"D", b"N", b"X", b"8", b"\xff"])
def test_refuses_other_kinds(kind: bytes) -> None:
    with pytest.raises(InvalidInput, match=f"^unhandled tar header type {kind[0]}$"):
        read(header(kind=kind) + END)


def test_only_files_have_a_content() -> None:
    for kind in (b"1", b"2", b"3", b"4", b"5", b"6"):
        entry, after = (entry for entry, _ in read(header(kind=kind, size=512) + member(b"after") + END))
        assert (entry.size, after.path) == (0, "after")


def test_an_old_directory_is_a_file_with_a_slash() -> None:
    assert one(header(b"d/", kind=b"\0", magic=b"") + END).kind == "directory"
    assert one(header(b"d/", kind=b"0") + END).kind == "file"


def test_devices_have_numbers_and_other_kinds_may_have_anything_there() -> None:
    entry = one(header(kind=b"3", major=b"0000010\0", minor=b"0000003\0") + END)
    assert (entry.major, entry.minor) == (8, 3)
    assert one(header(major=b"garbage!") + END).major == 0
    with pytest.raises(InvalidInput, match="device"):
        read(header(kind=b"4", major=b"0010000\0") + END)


@pytest.mark.parametrize(
    ("magic", "prefix", "path"),
    [
        (b"ustar\x0000", b"some/where", "some/where/f"),
        (b"ustar\x0000", b"", "f"),
        (b"", b"some/where", "f"),
        (b"ustar  \0", b"00000000000\0", "f"),
        (b"ustar  \0", b"some/where", "some/where/f"),
    ],
)
def test_only_ustar_has_a_prefix(magic: bytes, prefix: bytes, path: str) -> None:
    assert one(header(magic=magic, prefix=prefix) + END).path == path


def test_long_gnu_names_are_for_the_next_member_only() -> None:
    long = b"n" * 5000
    data = member(b"././@LongLink", long + b"\0rest", kind=b"L") + member(b"././@LongLink", b"target\0", kind=b"K")
    (first, _), (second, _) = read(data + header(kind=b"2") + member(b"g") + END)
    assert (first.path, first.link) == (long.decode(), "target")
    assert (second.path, second.link) == ("g", "")


def test_records_override_the_header_for_the_next_member_only() -> None:
    records = {b"path": "ä/long".encode(), b"mtime": b"1.5", b"uid": b"3000000", b"gid": b"4000000", b"size": b"3"}
    (first, content), (second, _) = read(pax(records) + header() + padded(b"abc") + header(b"g") + END)
    assert (first.path, first.mtime_ns, first.uid, first.gid, content) == (
        "ä/long",
        15 * 10**8,
        3000000,
        4000000,
        b"abc",
    )
    assert (second.path, second.mtime_ns, second.uid) == ("g", 0, 0)


def test_records_carry_link_targets_and_attributes() -> None:
    records = {b"linkpath": b"t", b"SCHILY.xattr.user.a%3Db": b"\0\xff\n", b"SCHILY.xattr.user.e": b"", b"other": b"1"}
    entry = one(pax(records) + header(kind=b"2") + END)
    assert (entry.link, entry.xattrs) == ("t", {"user.a=b": b"\0\xff\n", "user.e": b""})


def test_an_empty_record_says_nothing() -> None:
    assert one(pax({b"path": b"", b"mtime": b""}) + header() + END).path == "f"


def test_the_last_of_two_headers_of_one_kind_counts() -> None:
    assert one(pax({b"path": b"a"}) + pax({b"path": b"b"}) + header() + END).path == "b"
    assert one(pax({b"path": b"a"}) + member(b"", b"L\0", kind=b"L") + header() + END).path == "L"


def test_global_records_hold_until_the_end_but_name_nothing() -> None:
    data = pax({b"uid": b"7", b"path": b"evil", b"size": b"99", b"mtime": b"5"}, kind=b"g")
    (first, _), (second, _) = read(data + header() + pax({b"mtime": b"6"}) + header(b"g") + END)
    assert (first.path, first.uid, first.size, first.mtime_ns) == ("f", 7, 0, 5 * 10**9)
    assert (second.path, second.uid, second.mtime_ns) == ("g", 7, 6 * 10**9)


@pytest.mark.parametrize(
    "records",
    [
        {b"size": b"-1"},
        {b"size": b"9" * 30},
        {b"mtime": b"9" * 100_000},
        {b"uid": b"x"},
        {b"path": b"a\0b"},
        {b"linkpath": b"a\0b"},
    ],
)
def test_refuses_records_that_cannot_be(records: dict[bytes, bytes]) -> None:
    began = time.perf_counter()
    with pytest.raises(InvalidInput, match=INVALID):
        read(pax(records) + header() + END)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_refuses_extensions_of_more_than_a_mebibyte(kind: bytes) -> None:
    exact = b"x" * (1 << 20)
    with pytest.raises(InvalidInput, match=TOO_LONG):
        read(member(b"x", exact + b"x", kind=kind) + header() + END)
    with pytest.raises(InvalidInput, match=TOO_LONG):  # known before it is read
        read(header(kind=kind, size=8**11 - 1))
    if kind in b"LK":
        read(member(b"x", exact, kind=kind) + header() + END)


def test_refuses_too_many_extensions() -> None:
    many = pax({b"uid": b"1"})
    assert one(many * 16 + header() + END).uid == 1
    with pytest.raises(InvalidInput, match=INVALID):
        read(many * 17 + header() + END)
    with pytest.raises(InvalidInput, match=TOO_LONG):
        read((many + header()) * 10 + END, Limits(headers=60))


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\xff" * 11 + b"\0", b"\x80" + b"\xff" * 11])
@pytest.mark.parametrize("kind", [b"0", b"x", b"L"])
def test_refuses_negative_and_huge_sizes(kind: bytes, size: bytes) -> None:
    block = bytearray(header(kind=kind))
    block[124:136] = size
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:]))
    with pytest.raises(InvalidInput, match=f"{INVALID}|{CUT}"):
        read(bytes(block) + END)


def test_a_size_beyond_the_end_is_cut() -> None:
    block = header(size=8**11 - 1)
    with pytest.raises(InvalidInput, match=CUT):
        read(block + b"x" * 1000)


@pytest.mark.parametrize("uid", [b"\xff" * 8, b"\x80\0\0\0\xff\xff\xff\xff"])
def test_refuses_owners_that_the_kernel_does_not_have(uid: bytes) -> None:
    with pytest.raises(InvalidInput, match="owner"):
        read(header(uid=uid) + END)
    assert one(header(uid=b"\x80\0\0\0\xff\xff\xff\xfe") + END).uid == 2**32 - 2


@pytest.mark.parametrize(
    ("mtime", "time_ns"),
    [(b"\xff" * 12, -(10**9)), (b"\x80" + bytes(4) + b"\x7f" + b"\xff" * 6, 0), (b"77777777777\0", 8589934591 * 10**9)],
)
def test_a_time_that_no_file_has_becomes_1970(mtime: bytes, time_ns: int) -> None:
    assert one(header(mtime=mtime) + END).mtime_ns == time_ns


@pytest.mark.parametrize(
    "data",
    [
        b"This is no tar at all. " * 30,
        header(checksum=b"0000000\0") + END,
        header(checksum=b"garbage!") + END,
        header(mode=b"garbage!") + END,
        bytes(512) + header() + END,
        b"\xff" * 512,
    ],
)
def test_what_is_no_tar_is_an_invalid_header(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=INVALID):
        read(data)


@pytest.mark.parametrize("data", [b"x", b"This is no tar", bytes(511), header()[:511], bytes(513)])
def test_less_than_a_block_is_cut(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=CUT):
        read(data)


@pytest.mark.parametrize("data", [b"", bytes(512), END, bytes(10240)])
def test_an_archive_may_be_empty(data: bytes) -> None:
    assert read(data) == []


def test_what_follows_the_end_is_read_and_passed_over() -> None:
    stream = Stream(member() + END + b"garbage" * 1000, 100)
    assert len(list(read_entries(stream))) == 1
    assert stream.read(1) == b""


def test_an_archive_of_nothing_may_have_a_global_header() -> None:
    assert read(pax({b"comment": b"1234"}, kind=b"g") + END) == []


@pytest.mark.parametrize("data", [pax({b"uid": b"1"}), pax({b"uid": b"1"}) + END, member(b"", b"x\0", kind=b"L") + END])
def test_an_extension_of_nothing_is_cut(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=CUT):
        read(data)


def test_cut_at_every_byte() -> None:
    whole = pax({b"uid": b"1"}) + member(b"a", b"x" * 700) + member(b"b", b"yz")
    complete = {0, len(whole), len(whole) + 512, *range(len(whole) - 510, len(whole) + 1)}
    # The end of the first member's content, its padding, and the second's content.
    first = len(whole) - 1024
    complete |= set(range(first - 324, first + 1))
    for end in range(len(whole + END)):
        data = (whole + END)[:end]
        if end in complete:
            read(data)
        else:
            with pytest.raises(InvalidInput, match=CUT):
                read(data)


@pytest.mark.parametrize("step", [1, 3, 511, 512, 513])
def test_the_pieces_in_which_a_stream_comes_do_not_matter(step: int) -> None:
    data = pax({b"uid": b"1"}) + member(b"a", b"x" * 700) + member(b"b", b"yz") + END
    assert [(e.path, e.uid, e.offset, content) for e, content in read(data, step=step)] == [
        ("a", 1, 1536, b"x" * 700),
        ("b", 0, 3072, b"yz"),
    ]


def test_unread_and_half_read_contents_are_passed_over() -> None:
    data = member(b"a", b"x" * 3000) + member(b"b", b"y" * 3000) + member(b"c", b"z") + END
    contents = []
    for entry in read_entries(Stream(data, 1000)):
        if entry.path == "b":
            next(entry.pieces())
        if entry.path == "c":
            contents.append(b"".join(entry.pieces()))
    assert contents == [b"z"]


def test_a_content_is_read_once() -> None:
    entries = read_entries(Stream(member(b"a", b"x") + member(b"b") + END))
    entry = next(entries)
    list(entry.pieces())
    with pytest.raises(ValueError, match="once"):
        entry.pieces()


def test_refuses_too_many_members() -> None:
    assert len(read(member() * 5 + END, Limits(nodes=5))) == 5
    with pytest.raises(InvalidInput, match="more than 4 entries"):
        read(member() * 5 + END, Limits(nodes=4))


def test_parsing_a_hostile_archive_takes_linear_time() -> None:
    data = pax([(b"GNU.sparse.offset", b"0"), (b"GNU.sparse.numbytes", b"0")] * 10_000) + header() + END
    began = time.perf_counter()
    read(data)
    read(data, step=700)
    assert time.perf_counter() - began < 5


def sparse_entries(*segments: tuple[int, int]) -> bytes:
    return b"".join(b"%011o\0%011o\0" % segment for segment in segments)


CONTENT = bytes(10) + b"abc" + bytes(487) + b"de" + bytes(98)
SEGMENTS = ((10, 3), (500, 2))


def old_sparse(_: object = None) -> bytes:
    fields = {"sparse": sparse_entries(*SEGMENTS, (600, 0)), "realsize": b"%011o\0" % 600}
    return header(size=5, kind=b"S", magic=b"ustar  \0", **fields) + padded(b"abcde")


def old_sparse_continued() -> bytes:
    fields = {"sparse": sparse_entries(SEGMENTS[0]), "realsize": b"%011o\0" % 600, "continued": b"\1"}
    extra = sparse_entries(*SEGMENTS[1:]).ljust(504, b"\0") + b"\1" + bytes(7) + bytes(512)
    return header(size=5, kind=b"S", magic=b"ustar  \0", **fields) + extra + padded(b"abcde")


def pax_sparse_0_0() -> bytes:
    records = [(b"GNU.sparse.size", b"600"), (b"GNU.sparse.numblocks", b"2")]
    for offset, size in SEGMENTS:
        records += [(b"GNU.sparse.offset", b"%d" % offset), (b"GNU.sparse.numbytes", b"%d" % size)]
    return pax(records) + member(b"f", b"abcde")


def pax_sparse_0_1() -> bytes:
    records = {b"GNU.sparse.size": b"600", b"GNU.sparse.map": b"10,3,500,2", b"GNU.sparse.name": b"f"}
    return pax(records) + member(b"GNUSparseFile.1/f", b"abcde")


def pax_sparse_1_0() -> bytes:
    records = {
        b"GNU.sparse.major": b"1",
        b"GNU.sparse.minor": b"0",
        b"GNU.sparse.name": b"f",
        b"GNU.sparse.realsize": b"600",
    }
    return pax(records) + member(b"GNUSparseFile.1/f", padded(b"2\n10\n3\n500\n2\n") + b"abcde")


SPARSE: list[Callable[[], bytes]] = [old_sparse, old_sparse_continued, pax_sparse_0_0, pax_sparse_0_1, pax_sparse_1_0]


@pytest.mark.parametrize("make", SPARSE)
@pytest.mark.parametrize("step", [1, 512, 1 << 20])
def test_reads_sparse_members(make: Callable[[], bytes], step: int) -> None:
    (entry, content), (after, _) = read(make() + member(b"after") + END, step=step)
    assert (entry.path, entry.kind, entry.size, entry.segments) == ("f", "file", 600, SEGMENTS)
    assert content == CONTENT
    assert after.path == "after"


@pytest.mark.parametrize("make", SPARSE)
def test_sparse_members_cut_anywhere(make: Callable[[], bytes]) -> None:
    whole = make()
    for end in range(1, len(whole) - 507, 7):
        with pytest.raises(InvalidInput, match=CUT):
            read(whole[:end])


@pytest.mark.parametrize("make", SPARSE)
def test_holes_count_against_the_limit(make: Callable[[], bytes]) -> None:
    data = make() + END
    read(data, Limits(unpacked=len(data) + 595))
    with pytest.raises(InvalidInput, match="larger than"):
        read(data, Limits(unpacked=len(data) - 1 + 595))


def test_refuses_sparse_maps_that_cannot_be() -> None:
    fields = {"sparse": sparse_entries((0, 5)), "realsize": b"%011o\0" % 4}
    with pytest.raises(InvalidInput, match=INVALID):
        read(header(kind=b"S", **fields, size=5) + padded(b"abcde") + END)
    with pytest.raises(InvalidInput, match=INVALID):
        read(pax({b"GNU.sparse.map": b"0,5,7"}) + member(b"f", b"abcde") + END)
    with pytest.raises(InvalidInput, match=INVALID):  # more map than content
        read(pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0"}) + member(b"f", b"0\n") + END)
    with pytest.raises(InvalidInput, match=CUT):
        read(pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0"}) + header(size=512))


def test_refuses_sparse_maps_that_are_too_long() -> None:
    fields = {"sparse": sparse_entries((0, 0)), "realsize": bytes(12), "continued": b"\1"}
    data = header(size=0, kind=b"S", **fields) + (bytes(504) + b"\1" + bytes(7)) * 10
    with pytest.raises(InvalidInput, match=TOO_LONG):
        read(data + END, Limits(header=4096))


def test_a_huge_hole_is_refused_at_once() -> None:
    fields = {"sparse": sparse_entries((0, 0)), "realsize": b"\x80" + bytes(5) + b"\x01" + bytes(5)}
    with pytest.raises(InvalidInput, match="unpack"):
        read(header(size=0, kind=b"S", **fields) + END)


def test_a_hole_larger_than_a_chunk_is_zeros() -> None:
    fields = {"sparse": sparse_entries((3 << 20, 1)), "realsize": b"%011o\0" % ((3 << 20) + 1)}
    ((_, content),) = read(header(kind=b"S", size=1, **fields) + padded(b"x") + END)
    assert content == bytes(3 << 20) + b"x"


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_what_the_standard_library_writes(format_: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as archive:
        for name in ("a", "d/" * 60 + "x", "ä"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid = 5, 1_700_000_000, 12345
            archive.addfile(info, io.BytesIO(b"hello"))
    entries = read(buffer.getvalue())
    assert [(e.path, e.uid, e.mtime_ns, content) for e, content in entries] == [
        (name, 12345, 1_700_000_000 * 10**9, b"hello") for name in ("a", "d/" * 60 + "x", "ä")
    ]
