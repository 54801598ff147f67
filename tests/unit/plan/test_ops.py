import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import ModeChange
from imagewright.oci import Digest, ImageConfig
from imagewright.plan import (
    AddFiles,
    Base,
    Configure,
    Continue,
    CopyFiles,
    Document,
    Fail,
    Image,
    MakeDirectory,
    Op,
    RunCommand,
    Scratch,
)

BASE = Base(Digest.of(b""), ImageConfig(architecture="amd64", os="linux"))


@pytest.mark.parametrize(
    ("op", "leaves"),
    [
        (Scratch(), {"op": "scratch"}),
        (Image(BASE), {"op": "image", "image": f"sha256:{Digest.of(b'').encoded}"}),
        (Continue(), {"op": "continue"}),
        (Configure("ENV A=1"), {"op": "configure", "instruction": "ENV A=1"}),
        (MakeDirectory("/a"), {"op": "make-directory", "path": "/a"}),
        (Fail(InvalidInput("no")), {"op": "fail", "message": "no"}),
        (
            CopyFiles(sources=("a", "b"), destination="/x/", workdir="/w", chown="1:2", chmod=0o755),
            {
                "op": "copy",
                "source.0": "a",
                "source.1": "b",
                "destination": "/x/",
                "chown": "1:2",
                "chmod": "0755",
            },
        ),
        (
            CopyFiles(sources=(), destination="x", workdir="/w", documents=(Document("D", "text"),)),
            {"op": "copy", "destination": "x", "workdir": "/w", "chown": "", "document.D": "text"},
        ),
        (
            AddFiles(sources=("a",), destination="/x"),
            {"op": "add", "source.0": "a", "destination": "/x", "chown": ""},
        ),
        (
            AddFiles(sources=("a",), destination="/x", unpack=False),
            {"op": "add", "source.0": "a", "destination": "/x", "chown": "", "unpack": "false"},
        ),
        (
            CopyFiles(
                sources=("a",), destination="/x", parents=True, exclude=("b", "!c"), chmod=ModeChange("u=rwX,g-w")
            ),
            {
                "op": "copy",
                "source.0": "a",
                "destination": "/x",
                "chown": "",
                "chmod": "u=rwX,g-w",
                "parents": "true",
                "exclude.0": "b",
                "exclude.1": "!c",
            },
        ),
        (
            AddFiles(sources=("a",), destination="/x", exclude=("b",)),
            {"op": "add", "source.0": "a", "destination": "/x", "chown": "", "exclude.0": "b"},
        ),
        (
            RunCommand(
                argv=("/bin/sh", "-c", "make"),
                env=("PATH=/bin", "A=x=y"),
                unrecorded_env=("HTTP_PROXY=p",),
                user="u",
                workdir="/w",
                script=Document("EOF", "#!/bin/sh"),
            ),
            {
                "op": "run",
                "command.0": "/bin/sh",
                "command.1": "-c",
                "command.2": "make",
                "env.PATH": "/bin",
                "env.A": "x=y",
                "user": "u",
                "workdir": "/w",
                "document.EOF": "#!/bin/sh",
            },
        ),
        (
            RunCommand(argv=("a",), env=()),
            {"op": "run", "command.0": "a", "user": "", "workdir": "/"},
        ),
    ],
)
def test_canonical(op: Op, leaves: dict[str, str]) -> None:
    assert op.canonical() == leaves


def test_proxies_make_no_difference() -> None:
    plain = RunCommand(argv=("a",), env=("A=1",))
    assert plain.canonical() == RunCommand(argv=("a",), env=("A=1",), unrecorded_env=("HTTP_PROXY=p",)).canonical()
