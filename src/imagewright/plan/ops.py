"""What a node does, as values.

Every op has a `canonical` form: named leaves of text, equal for two ops that do the same, and complete: the result
depends on nothing but them, the parent, and the contents read. Keys of the cache are made of it, and a miss is
explained by the leaf that differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from imagewright.errors import ImagewrightError
from imagewright.oci import Digest, ImageConfig

__all__ = [
    "AddFiles",
    "Base",
    "Configure",
    "Continue",
    "CopyFiles",
    "Document",
    "Fail",
    "Image",
    "MakeDirectory",
    "Op",
    "RunCommand",
    "Scratch",
]


@dataclass(frozen=True, slots=True)
class Base:
    """An image that something is made from."""

    image_id: Digest
    config: ImageConfig


@dataclass(frozen=True, slots=True)
class Document:
    """A file written in the Dockerfile itself: a here-document, expanded."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class Scratch:
    """Begins with nothing: no layers, an empty tree. No inputs."""

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "scratch"}


@dataclass(frozen=True, slots=True)
class Image:
    """Begins with an image: its layers and its history. No inputs.

    A node without a step provides the image of a `COPY --from`.
    """

    base: Base

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "image", "image": str(self.base.image_id)}


@dataclass(frozen=True, slots=True)
class Continue:
    """Begins where another stage ended: FROM with the name of a stage. One input: that stage's last node."""

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "continue"}


@dataclass(frozen=True, slots=True)
class Configure:
    """Changes the configuration and no file; one input. `instruction` is the instruction in its recorded form."""

    instruction: str

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "configure", "instruction": self.instruction}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFiles:
    """COPY: files from the build context, or from the node that is the second input where there is one.

    `sources` and `destination` are expanded, otherwise as written (patterns; a trailing slash has its meaning);
    `workdir` is absolute and is where a relative destination starts. `documents` come beside the sources.
    `chown` is `user[:group]` by name or number, "" for 0:0; `chmod` None keeps the modes.
    """

    sources: tuple[str, ...]
    destination: str
    workdir: str = "/"
    chown: str = ""
    chmod: int | None = None
    documents: tuple[Document, ...] = ()

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others, the contents of what is copied left out."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFiles:
    """ADD: as COPY from the build context, with archives unpacked. URLs among the sources are refused when compiled."""

    sources: tuple[str, ...]
    destination: str
    workdir: str = "/"
    chown: str = ""
    chmod: int | None = None
    documents: tuple[Document, ...] = ()

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others, the contents of what is copied left out."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """WORKDIR: the directory `path`, absolute, and its parents exist afterwards; one input. No layer if they did."""

    path: str

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "make-directory", "path": self.path}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """RUN: one process on the parent's files; one input.

    `argv` is what the process gets, the shell included; `env` (`NAME=value`) what it sees: the image's ENV and then
    the build args in scope, sorted; PATH is always there. `unrecorded_env` is seen too, but is no part of the
    canonical form nor of the history: the predefined proxy args. HOSTNAME and HOME are whoever runs it to add.
    `user` is as USER has it, "" for root; `workdir` absolute, "/" by default. `script`, where there is one, is an
    executable file that must be found at `/dev/pipes/NAME` (a here-document that begins with `#!`).
    """

    argv: tuple[str, ...]
    env: tuple[str, ...]
    unrecorded_env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    script: Document | None = None

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Fail:
    """Raises `error`: an instruction that cannot be carried out, known since compilation. The plan ends with it."""

    error: ImagewrightError

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "fail", "message": str(self.error)}


Op = Scratch | Image | Continue | Configure | CopyFiles | AddFiles | MakeDirectory | RunCommand | Fail
