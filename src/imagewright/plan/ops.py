"""What a node does, as values.

Every op has a `canonical` form: named leaves of text, equal for two ops that do the same, and complete: the result
depends on nothing but them, the inputs, and the contents that are read. Keys of the cache are made of it, and a miss
is explained by the leaf that differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from imagewright.errors import ImagewrightError
from imagewright.filesystem import ModeChange
from imagewright.oci import Digest, ImageConfig, Platform
from imagewright.plan.mounts import RunMount

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
    "Remote",
    "RunCommand",
    "Scratch",
]


@dataclass(frozen=True, slots=True)
class Base:
    """An image that something is made from; if it is not `stored`, its layers are there and it itself is not."""

    image_id: Digest
    config: ImageConfig
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Document:
    """A file written in the Dockerfile itself, a here-document, with its final content."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class Remote:
    """A source of ADD that is elsewhere: a file behind a URL of http or https, or a git repository, at `address`.

    `checksum` is what the content has to be: `sha256:` and digits of a file, the first digits of a commit; "" for
    whatever comes. `keep_git_dir` is for repositories.
    """

    address: str
    checksum: str = ""
    keep_git_dir: bool = False


@dataclass(frozen=True, slots=True)
class Scratch:
    """Begins with nothing: no layers, an empty tree. No inputs. `platform` is what for, None for the build's."""

    platform: Platform | None = None

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "scratch", **({"platform": str(self.platform)} if self.platform else {})}


@dataclass(frozen=True, slots=True)
class Image:
    """Begins with an image: its layers and its history. No inputs.

    A node without a step provides the image of a `COPY --from`. `platform` is what FROM asks for, None where it does
    not: no part of what the op does.
    """

    base: Base
    platform: Platform | None = None

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
    `chown` is `user[:group]` by name or number, "" for 0:0; `chmod` None keeps the modes. `parents` keeps the
    directories above each source, `exclude` are patterns of what is left out. With `link` the files go into an empty
    tree, whose layer then lies on the parent's, whatever that is: no link there is followed, no name of a user known.
    """

    sources: tuple[str, ...]
    destination: str
    workdir: str = "/"
    chown: str = ""
    chmod: int | ModeChange | None = None
    documents: tuple[Document, ...] = ()
    parents: bool = False
    exclude: tuple[str, ...] = ()
    link: bool = False

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others, the contents of what is copied left out."""
        leaves = {"op": "copy", **_copy_leaves(self)}
        if self.parents:
            leaves["parents"] = "true"
        return leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFiles:
    """ADD: as COPY from the build context, and from elsewhere.

    Archives of the context are unpacked unless `unpack` is False, those from elsewhere only where it is True.
    """

    sources: tuple[str | Remote, ...]
    destination: str
    workdir: str = "/"
    chown: str = ""
    chmod: int | ModeChange | None = None
    documents: tuple[Document, ...] = ()
    unpack: bool | None = None
    exclude: tuple[str, ...] = ()
    link: bool = False

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others, the contents of what is copied left out."""
        leaves = {"op": "add", **_copy_leaves(self)}
        if self.unpack is not None:
            leaves["unpack"] = str(self.unpack).lower()
        return leaves


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """WORKDIR: the directory `path`, absolute and clean, and its parents exist afterwards; one input.

    Where they existed before, nothing changes and there is no layer.
    """

    path: str

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "make-directory", "path": self.path}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """RUN: one process on the parent's files.

    `argv` is what the process gets, the shell included; `env` (`NAME=value`) what it sees: the image's ENV in its
    order and then the build args in scope, sorted; PATH is always there. `unrecorded_env` is seen too, but is part
    of neither the canonical form nor the history: the predefined proxy args. HOSTNAME and HOME are whoever runs it to
    add. `user` is as USER has it, "" for root; `workdir` is absolute and clean. `script`, where there is one, must
    be there as the executable file `/dev/pipes/NAME` while the process runs, and leave nothing behind.
    Further inputs are what `mounts` show. `network` is `none` or `host`, empty for the build's;
    `insecure` lifts all confinement.
    """

    argv: tuple[str, ...]
    env: tuple[str, ...]
    unrecorded_env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    script: Document | None = None
    mounts: tuple[RunMount, ...] = ()
    network: Literal["", "none", "host"] = ""
    insecure: bool = False

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others, the contents of what is mounted left out."""
        leaves = {"op": "run", "user": self.user, "workdir": self.workdir, **_numbered("command", self.argv)}
        leaves |= _numbered("mount", [mount.canonical() for mount in self.mounts])
        if self.insecure:
            leaves["security"] = "insecure"
        for variable in self.env:
            name, _, value = variable.partition("=")
            leaves[f"env.{name}"] = value
        if self.script is not None:
            leaves[f"document.{self.script.name}"] = self.script.content
        return leaves


@dataclass(frozen=True, slots=True)
class Fail:
    """Raises `error`: an instruction that cannot be carried out, known since compilation. The plan ends with it."""

    error: ImagewrightError

    def canonical(self) -> Mapping[str, str]:
        """Return the named leaves that tell this op from others."""
        return {"op": "fail", "message": str(self.error)}


Op = Scratch | Image | Continue | Configure | CopyFiles | AddFiles | MakeDirectory | RunCommand | Fail


def _numbered(name: str, values: Sequence[str]) -> dict[str, str]:
    return {f"{name}.{number}": value for number, value in enumerate(values)}


def _copy_leaves(op: CopyFiles | AddFiles) -> dict[str, str]:
    # What comes from elsewhere counts and not where that is: an address may hold a secret.
    sources = ["(remote)" if isinstance(source, Remote) else source for source in op.sources]
    leaves = {"destination": op.destination, "chown": op.chown, **_numbered("source", sources)}
    if not op.destination.startswith("/"):
        leaves["workdir"] = op.workdir
    if op.chmod is not None:
        leaves["chmod"] = op.chmod.text if isinstance(op.chmod, ModeChange) else f"{op.chmod:04o}"
    leaves.update(_numbered("exclude", op.exclude))
    if op.link:
        leaves["link"] = "true"
    for document in op.documents:
        leaves[f"document.{document.name}"] = document.content
    return leaves
