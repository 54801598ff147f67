"""What holds for every layer and for every archive."""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from imagewright.archive import Spool, decode_index, encode_index, layer_size, read_layer, read_tree, write_layer
from imagewright.archive.header import parse_number
from imagewright.archive.pax import encode_records, format_time, parse_records, parse_time
from imagewright.archive.ustar import Fields, format_header
from imagewright.errors import InvalidInput
from imagewright.filesystem.layer import Change, Layer, Opaque, Put, Whiteout
from imagewright.filesystem.tree import Content, Device, Directory, Extent, Fifo, File, Node, Symlink, walk
from imagewright.oci import Digest
from unit.archive.raw_tar import END, Stream, member, pax

BYTES = st.binary(max_size=20).filter(lambda data: b"\0" not in data)
NAMES = (
    st.one_of(
        st.sampled_from(["a", "b", "c", "b.c", "x" * 99, "y" * 200, "ä\n"]),
        BYTES.map(lambda b: b.decode("utf-8", "surrogateescape")),
    )
    .filter(lambda name: name not in {"", ".", ".."} and "/" not in name and not name.startswith(".wh."))
    .filter(lambda name: len(name.encode("utf-8", "surrogateescape")) <= 255)
)
TIMES = st.one_of(
    st.integers(0, 2**33).map(lambda seconds: seconds * 10**9),
    st.integers(-(2**63), 2**63 - 1).filter(lambda t: t > -(2**63)),
)
IDS = st.one_of(st.just(0), st.integers(0, 2**32 - 2))
XATTRS = st.dictionaries(
    BYTES.map(lambda b: "user." + b.decode("utf-8", "surrogateescape")), st.binary(max_size=50), max_size=2
)
MODES = st.integers(0, 0o7777)
COMMON = {"uid": IDS, "gid": IDS, "mtime_ns": TIMES, "xattrs": XATTRS}


def _content(data: bytes) -> Content:
    return Content(Digest.of(data), len(data), Extent(data.hex()))


LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(File, mode=MODES, content=st.binary(max_size=1500).map(_content), **COMMON),
    st.builds(
        Symlink,
        mode=st.just(0o777),
        target=st.binary(min_size=1, max_size=300)
        .filter(lambda b: b"\0" not in b)
        .map(lambda b: b.decode("utf-8", "surrogateescape")),
        **COMMON,
    ),
    st.builds(
        Device,
        mode=MODES,
        kind=st.sampled_from(["block", "character"]),
        major=st.integers(0, 4095),
        minor=st.integers(0, 2**20 - 1),
        **COMMON,
    ),
    st.builds(Fifo, mode=MODES, **COMMON),
)
DIRECTORIES = st.builds(Directory, mode=MODES, **COMMON)


@st.composite
def changes_below(draw: st.DrawFn, prefix: str, depth: int, leaves: list[Node]) -> list[Change]:
    changes: list[Change] = []
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    for name in sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape")):
        path = prefix + name
        kind = draw(st.sampled_from(["leaf", "leaf", "link", "directory", "bare", "whiteout", "both"]))
        if kind in {"whiteout", "both"}:
            changes.append(Whiteout(path))
        if kind == "link" and leaves:
            changes.append(Put(path, draw(st.sampled_from(leaves))))
        elif kind in {"leaf", "link", "both"}:
            leaves.append(draw(LEAVES))
            changes.append(Put(path, leaves[-1]))
        elif depth and kind in {"directory", "bare"}:
            if kind == "directory":
                changes.append(Put(path, draw(DIRECTORIES)))
            if draw(st.booleans()):
                changes.append(Opaque(path))
            changes += draw(changes_below(f"{path}/", depth - 1, leaves))
    return changes


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    changes: list[Change] = []
    if draw(st.booleans()):
        changes.append(Put("", draw(DIRECTORIES)))
    if draw(st.booleans()):
        changes.append(Opaque(""))
    changes += draw(changes_below("", 3, []))
    return Layer(tuple(changes))


def read_hex(content: Content, /) -> Iterator[bytes]:
    return iter([bytes.fromhex(content.extent.path)])


def links(layer: Layer) -> list[list[str]]:
    """The names of each node, in order: what equality of layers does not see."""
    names: dict[int, list[str]] = {}
    for change in layer.changes:
        if isinstance(change, Put) and not isinstance(change.node, Directory):
            names.setdefault(id(change.node), []).append(change.path)
    return list(names.values())


@settings(max_examples=150, deadline=None)
@given(layers(), st.integers(1, 3000))
def test_a_written_layer_reads_as_itself(layer: Layer, step: int) -> None:
    out = io.BytesIO()
    diff_id = write_layer(layer, out, read=read_hex)
    with tempfile.TemporaryDirectory() as directory:
        with Spool(f"{directory}/spool") as spool:
            again, read_id = read_layer(Stream(out.getvalue(), step), spool)
        assert again == layer
        assert read_id == diff_id
        assert links(again) == links(layer)
        assert layer_size(again) == layer_size(layer)
        # The bytes are where the extents say, and written again they are the same.
        second = io.BytesIO()
        assert write_layer(again, second) == diff_id
        assert second.getvalue() == out.getvalue()


@settings(max_examples=100, deadline=None)
@given(layers())
def test_the_index_of_a_layer_is_the_layer(layer: Layer) -> None:
    again = decode_index(encode_index(layer, lambda path: f"x{path}"), lambda name: name[1:])
    assert again == layer
    assert links(again) == links(layer)
    assert write_layer(again, io.BytesIO(), read=read_hex) == write_layer(layer, io.BytesIO(), read=read_hex)


RAW_NAMES = st.lists(st.sampled_from([b"a", b"b", b"..", b".", b"", b".wh.a"]), min_size=1, max_size=4).map(b"/".join)
RAW_MEMBERS = st.lists(
    st.tuples(RAW_NAMES, st.sampled_from([b"0", b"1", b"2", b"5", b"6"]), RAW_NAMES, st.binary(max_size=3)), max_size=8
)


def _archive(members: list[tuple[bytes, bytes, bytes, bytes]]) -> bytes:
    made = [member(name, data if kind == b"0" else b"", kind=kind, link=link) for name, kind, link, data in members]
    return b"".join(made) + END


@settings(max_examples=300, deadline=None)
@given(RAW_MEMBERS)
def test_an_archive_is_a_tree_or_invalid(members: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
    data = _archive(members)
    with tempfile.TemporaryDirectory() as directory, Spool(f"{directory}/spool") as spool:
        try:
            tree = read_tree(Stream(data), spool)
        except InvalidInput:
            return
        for path, _ in walk(tree):
            assert not {"", ".", ".."} & set(path.split("/"))
        assert Path(spool.path).read_bytes() == data


@settings(max_examples=300, deadline=None)
@given(RAW_MEMBERS)
def test_a_foreign_layer_is_in_canonical_order_or_invalid(members: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
    data = _archive(members)
    with tempfile.TemporaryDirectory() as directory, Spool(f"{directory}/spool") as spool:
        try:
            layer, _ = read_layer(Stream(data), spool)
        except InvalidInput:
            return
        kinds: dict[type[Change], int] = {Whiteout: 0, Put: 1, Opaque: 2}
        order = [([part.encode() for part in c.path.split("/") if part], kinds[type(c)]) for c in layer.changes]
        assert order == sorted(order)
        assert len({(change.path, type(change)) for change in layer.changes}) == len(layer.changes)
        out = io.BytesIO()
        write_layer(layer, out)
        with Spool(f"{directory}/again") as again:
            assert read_layer(Stream(out.getvalue()), again)[0] == layer


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000), st.booleans())
def test_any_bytes_are_an_archive_or_invalid(data: bytes, after: bool) -> None:
    if after:
        data = pax({b"mtime": b"1.5"}) + data
    with (
        tempfile.TemporaryDirectory() as directory,
        Spool(f"{directory}/spool") as spool,
        contextlib.suppress(InvalidInput),
    ):
        read_tree(Stream(data), spool)


@given(st.lists(st.tuples(BYTES.filter(bool).filter(lambda b: b"=" not in b), st.binary(max_size=120)), max_size=5))
def test_records_come_back(records: list[tuple[bytes, bytes]]) -> None:
    names = {b"path", b"linkpath", b"uname", b"gname"}
    records = [(keyword, value) for keyword, value in records if keyword not in names]
    assert parse_records(encode_records(records)) == records


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_times_come_back(time_ns: int) -> None:
    assert parse_time(format_time(time_ns)) == time_ns


@given(st.binary(min_size=12, max_size=12))
def test_a_field_is_a_number_of_64_bits_or_invalid(field: bytes) -> None:
    try:
        number = parse_number(field)
    except InvalidInput:
        return
    assert -(2**63) <= number < 2**63


@given(
    BYTES.filter(bool),
    st.integers(0, 2**40),
    st.integers(0, 2**32),
    st.integers(0, 2**32),
    st.integers(-(2**62), 2**62),
)
def test_headers_are_whole_blocks(path: bytes, size: int, uid: int, gid: int, mtime_ns: int) -> None:
    header = format_header(Fields(path=path, type=b"0", size=size, uid=uid, gid=gid, mtime_ns=mtime_ns))
    assert len(header) % 512 == 0
