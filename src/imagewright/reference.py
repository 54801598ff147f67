"""Names of images: `busybox`, `localhost:5000/team/app:1.2`, `busybox@sha256:...`.

The grammar is that of https://pkg.go.dev/github.com/distribution/reference, with Docker's short ("familiar") forms: no
registry means docker.io, and one path component there means `library/`.
"""

import dataclasses
import functools
import re
from dataclasses import dataclass

from imagewright.errors import InvalidInput
from imagewright.oci import Digest

__all__ = ["DEFAULT_REGISTRY", "DEFAULT_TAG", "Reference"]

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"

_LEGACY_REGISTRY = "index.docker.io"
_OFFICIAL = "library/"
_NAME_LIMIT = 255
# A name, a tag and a digest at their longest, with room for an over-long name to be told so.
_TEXT_LIMIT = 4096

_HOST_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_HOST_PATTERN = re.compile(_HOST)
_TAG_PATTERN = re.compile(_TAG)
_IDENTIFIER_PATTERN = re.compile(r"[a-f0-9]{64}")
_REMAINDER_PATTERN = re.compile(
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name in full: `registry` may hold a port, `repository` is never empty; sorts as its canonical text."""

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    def __str__(self) -> str:
        return self.canonical

    def __lt__(self, other: "Reference") -> bool:
        return self.canonical < other.canonical

    @property
    def name(self) -> str:
        """Registry and repository: `docker.io/library/busybox`."""
        return f"{self.registry}/{self.repository}"

    @property
    def canonical(self) -> str:
        """The full text, as stores keep it: `docker.io/library/busybox:1`."""
        return self.name + self._suffix

    @property
    def familiar_name(self) -> str:
        """The shortest text that `parse` reads as this name, without tag and digest: `busybox`."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        short = self.repository
        if short.startswith(_OFFICIAL) and short.count("/") == 1:
            short = short.removeprefix(_OFFICIAL)
        # `docker.io/localhost/x` must not turn into the registry `localhost`, nor a name into an image id.
        ambiguous = _split(short) != (self.registry, self.repository) or _IDENTIFIER_PATTERN.fullmatch(short)
        return self.name if ambiguous else short

    @property
    def familiar(self) -> str:
        """The shortest text that `parse` reads as this reference, as clients show it: `busybox:1`."""
        return self.familiar_name + self._suffix

    @property
    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag

    def with_tag(self, tag: str) -> "Reference":
        """Return the reference with `tag` instead of its own; raise `InvalidInput` if it is not a tag."""
        if _TAG_PATTERN.fullmatch(tag) is None:
            raise InvalidInput("invalid tag format")
        return dataclasses.replace(self, tag=tag)

    def with_default_tag(self) -> "Reference":
        """Return the reference, tagged `latest` if it has neither tag nor digest."""
        return self if self.tag or self.digest else dataclasses.replace(self, tag=DEFAULT_TAG)

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Return the reference that `text` names, in full or in Docker's short form; no tag is added.

        Raises `InvalidInput`, in the words of the engine, for anything else. Digests other than sha256 are refused.
        """
        if _IDENTIFIER_PATTERN.fullmatch(text):
            raise InvalidInput(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
        if len(text) > _TEXT_LIMIT:
            raise InvalidInput("invalid reference format")
        registry, remainder = _split(text)
        repository = remainder.partition(":")[0]
        if repository.lower() != repository:
            raise InvalidInput("invalid reference format: repository name must be lowercase")
        match = _REMAINDER_PATTERN.fullmatch(remainder)
        if match is None or _HOST_PATTERN.fullmatch(registry) is None:
            raise InvalidInput("invalid reference format")
        if len(registry) + 1 + len(match["repository"]) > _NAME_LIMIT:
            raise InvalidInput(f"repository name must not be more than {_NAME_LIMIT} characters")
        digest = _parse_digest(match["digest"]) if match["digest"] else None
        return cls(registry, match["repository"], match["tag"] or "", digest)


def _split(text: str) -> tuple[str, str]:
    """Return the registry and the rest of `text`: a first component is a registry only if it looks like a host."""
    first, slash, rest = text.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        first, rest = DEFAULT_REGISTRY, text
    if first == _LEGACY_REGISTRY:
        first = DEFAULT_REGISTRY
    if first == DEFAULT_REGISTRY and "/" not in rest:
        rest = _OFFICIAL + rest
    return first, rest


def _parse_digest(text: str) -> Digest:
    algorithm, _, encoded = text.partition(":")
    if algorithm != "sha256":
        raise InvalidInput("unsupported digest algorithm")
    if len(encoded) != 64:
        raise InvalidInput("invalid checksum digest length")
    if encoded.lower() != encoded:
        raise InvalidInput("invalid checksum digest format")
    return Digest(encoded)
