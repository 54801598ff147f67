"""Names of images that are nearly right: `python -m fuzz.reference N [SEED]` parses N of them.

Each is a `Reference` that is spelled the same when it is parsed again, or `InvalidInput`; nothing else.
"""

import random
import sys
from collections.abc import Sequence

from imagewright.errors import InvalidInput
from imagewright.reference import Reference

__all__ = ["main", "make", "run"]

_PIECES = (
    *("busybox", "library", "docker.io", "index.docker.io", "localhost", "example.com", "a", "A", "0", "x" * 300, "ä"),
    *("latest", "1.36", "sha256", "f" * 64, "0" * 64, "sha512", "5000", "65536", "[::1]", "127.0.0.1", "xn--p1ai"),
    *("/", "/", "/", ":", ":", "@", "@sha256:", ".", "-", "_", "__", "---", " ", "\n", "\0", "\udcff", "%", "//"),
)


def make(random_: random.Random) -> str:
    """Return a text that is more or less the name of an image."""
    return "".join(random_.choice(_PIECES) for _ in range(random_.randrange(8)))


def run(text: str) -> bool:
    """Parse `text`; return whether it was a name; raise for anything that must not be."""
    try:
        reference = Reference.parse(text)
    except InvalidInput:
        return False
    assert Reference.parse(str(reference)) == reference, text
    assert Reference.parse(reference.familiar) == reference, text
    return True


def main(arguments: Sequence[str]) -> int:
    """Parse as many texts as the first argument says, from the seed that the second does."""
    count = int(arguments[0]) if arguments else 10_000
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(1 << 32)
    accepted = 0
    for number in range(count):
        text = make(random.Random(seed + number))  # noqa: S311 - a seed is to be told
        try:
            accepted += run(text)
        except BaseException:
            sys.stderr.write(f"fuzz.reference: python -m fuzz.reference 1 {seed + number}\n")
            raise
    sys.stdout.write(f"fuzz.reference: {count} names from seed {seed}, {accepted} of them good\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
