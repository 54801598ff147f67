"""Content addresses."""

import hashlib
import re
from collections.abc import Sequence

import msgspec

from imagewright.errors import InvalidInput

__all__ = ["Digest", "chain_id"]

_PATTERN = re.compile(r"sha256:([0-9a-f]{64})")


class Digest(msgspec.Struct, frozen=True, order=True, gc=False):
    """The address of some bytes: `sha256:` and 64 lower-case hexadecimal digits.

    https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests; of the registered algorithms only
    sha256 is used here, and others are refused by `parse`.
    """

    encoded: str

    def __str__(self) -> str:
        return f"sha256:{self.encoded}"

    @property
    def short(self) -> str:
        """The first twelve digits, as the Docker clients print them."""
        return self.encoded[:12]

    @classmethod
    def of(cls, data: bytes) -> "Digest":
        """Return the digest of `data`."""
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Return the digest that `text` spells; raise `InvalidInput` for anything else."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise InvalidInput(f"invalid digest: {text[:100]!r}")
        return cls(match[1])


def chain_id(diff_ids: Sequence[Digest]) -> Digest | None:
    """Return the identity of a stack of layers, lowest first; None for the empty stack.

    https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
    """
    if not diff_ids:
        return None
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = Digest.of(f"{chain} {diff_id}".encode())
    return chain
