import hashlib

import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import Digest, chain_id

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_of_bytes() -> None:
    digest = Digest.of(b"")
    assert digest == Digest(EMPTY)
    assert str(digest) == f"sha256:{EMPTY}"
    assert digest.short == "e3b0c44298fc"


def test_parse_reads_what_str_writes() -> None:
    assert Digest.parse(f"sha256:{EMPTY}") == Digest(EMPTY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY,
        "sha256:",
        f"sha256:{EMPTY[:-1]}",
        f"sha256:{EMPTY}0",
        f"sha256:{EMPTY.upper()}",
        f"sha512:{EMPTY}",
        f"sha256:{EMPTY}\n",
        "sha256:" + "x" * 64,
    ],
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid digest"):
        Digest.parse(text)


def test_digests_sort_by_their_digits() -> None:
    assert sorted([Digest("b" * 64), Digest("a" * 64)]) == [Digest("a" * 64), Digest("b" * 64)]


def test_chain_id_of_no_layers_and_of_one() -> None:
    assert chain_id(()) is None
    assert chain_id((Digest.of(b"a"),)) == Digest.of(b"a")


# https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
def test_chain_id_folds_from_the_lowest_layer() -> None:
    lowest, middle, top = (Digest.of(name) for name in (b"a", b"b", b"c"))
    two = "sha256:" + hashlib.sha256(f"{lowest} {middle}".encode()).hexdigest()
    three = "sha256:" + hashlib.sha256(f"{two} {top}".encode()).hexdigest()
    assert str(chain_id((lowest, middle))) == two
    assert str(chain_id((lowest, middle, top))) == three
