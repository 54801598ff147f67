"""What of a directory the docker program sends, and what we send: the same, for every file of patterns."""

import io
import os
import pathlib
import tarfile
from collections.abc import Iterator

import pytest

from imagewright.cli.packing import open_context
from imagewright.errors import InvalidInput
from support.clients import DockerCli, docker_clis
from support.context_sink import ContextSink, context_sink

pytestmark = pytest.mark.compat

CLIS = docker_clis() or (DockerCli("docker", ()),)

_FILES = (
    *(
        "Dockerfile",
        "README.md",
        "a",
        "a.txt",
        "b/a",
        "b/a.txt",
        "b/c/a",
        "b/c/d/a.md",
        "b/c/d/e/f.txt",
        "*star",
        "-dash",
    ),
    *(
        "c d/e f",
        "#hash",
        "!bang",
        "src/main.py",
        "src/test/main.py",
        "src/test/x/README.md",
        "src/.git/config",
        ".git/HEAD",
    ),
    *(
        ".hidden",
        "node_modules/x/index.js",
        "docs/node_modules/y",
        "[x]/y",
        "ab/abc",
        "b\\s",
        "x.pyc",
        "src/x.pyc",
        "é/ü",
    ),
    *("build/", "empty/deep/", "logs/2024/01/x.log", "logs/keep", "vendor/a/b/c", "vendor/a/d"),
)

_PATTERNS = (
    b"a",
    b"/a",
    b"./a",
    b"a/",
    b"b/",
    b"b/a",
    b"/b/a",
    b"//b//a//",
    b"b/../a",
    b"../a",
    b"..",
    b".",
    b"./",
    b"/",
    b"*",
    b"*\n!a",
    b"*\n!b/c",
    b"*\n!b/c/d/a.md",
    b"*\n!*.md",
    b"*\n!**/*.md",
    b"**",
    b"**\n!b/c/a",
    b"**/a",
    b"**/a\n!b/a",
    b"*/a",
    b"b/*",
    b"b/*\n!b/a",
    b"b/**",
    b"b/**\n!b/c/d",
    b"b/**/a",
    b"**/*.txt",
    b"**/*.txt\n!a.txt",
    b"!a",
    b"!a\na",
    b"a\n!a\na",
    b"b\n!b/a\nb/a",
    b"b\n!b/c\nb/c/d\n!b/c/d/e",
    b"  a  ",
    b"\ta\t",
    b"a \n! b/a",
    b"a\r\nb/a\r\n",
    b"# a\na.txt",
    b" #hash",
    b"#hash",
    b"\\#hash",
    b"\\!bang",
    b"\xef\xbb\xbfa",
    b"\xef\xbb\xbf# a\nb",
    b"\n\n\na\n\n",
    b"",
    b"a?txt",
    b"[ab]",
    b"[^ab]*",
    b"[!ab]*",
    b"\\*star",
    b"\\[x\\]",
    b"b\\\\s",
    b"c d",
    b"c\\ d",
    b"**/node_modules",
    b"**/node_modules/**",
    b"node_modules\n!node_modules/x",
    b"**/.git",
    b".*",
    b".*\n!.hidden",
    b"*.pyc\n**/x.pyc",
    b"src/**/README.md",
    b"src/test\n!src/test/main.py",
    b"**/test/**",
    b"a*b*c",
    b"ab/a*c",
    b"build",
    b"empty",
    b"empty/*",
    b"empty\n!empty/deep",
    b"logs/**/*.log",
    b"logs/*\n!logs/keep",
    b"vendor\n!vendor/a/d",
    b"vendor/*/b",
    b"vendor/**/c",
    b"Dockerfile",
    b".dockerignore",
    b"Dockerfile\n.dockerignore",
    "é".encode(),
    "**/ü".encode(),
    b"-dash",
    b"b/c/..",
    b"b/./c",
    b"b/c/d/e/f.txt/g",
    b"b**",
    b"**c",
    b"b/c**e",
    b"***/a",
    b"**/**/a",
    b"a[",
    b"!",
    b"! ",
    b"b/[",
    b"a\\",
    b"[a-",
    b"[]a]",
    b"[-x]",
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("tree")
    for name in _FILES:
        path = root / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text("FROM scratch\n")
    (root / "link").symlink_to("b")
    return root


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContextSink]:
    with context_sink(str(tmp_path_factory.mktemp("sink"))) as running:
        yield running


def _ours(directory: str) -> list[str] | None:
    try:
        data = b"".join(open_context(directory, None).chunks())
    except InvalidInput:
        return None
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return sorted(tar.getnames())


def _theirs(cli: DockerCli, sink: ContextSink, directory: str) -> list[str] | None:
    result = cli.run(sink.host, "build", directory)
    tar = sink.take()
    if tar is None:
        assert result.returncode != 0
        return None
    with tar:
        return sorted(tar.getnames())


# Patterns, the oldest docker that does otherwise and the first that does as we do, and why.
_DIFFERENCES: dict[bytes, tuple[tuple[int, ...], tuple[int, ...], str]] = {
    b"*\n!**/*.md": ((0,), (999,), "the classic client looks for exceptions only below names they begin with"),
    b"**c": ((0,), (23,), "since then the end of the path is compared, as BuildKit does"),
}


@pytest.mark.parametrize("cli", CLIS, ids=str)
def test_the_same_names_are_sent(cli: DockerCli, sink: ContextSink, directory: pathlib.Path) -> None:
    different = {}
    for patterns in _PATTERNS:
        (directory / ".dockerignore").write_bytes(patterns)
        ours, theirs = _ours(str(directory)), _theirs(cli, sink, str(directory))
        if ours != theirs:
            more, less = set(ours or ()) - set(theirs or ()), set(theirs or ()) - set(ours or ())
            different[patterns] = (ours is None, theirs is None, sorted(more), sorted(less))
    os.unlink(directory / ".dockerignore")
    expected = {patterns for patterns, (since, until, _) in _DIFFERENCES.items() if since <= cli.version < until}
    assert {patterns: names for patterns, names in different.items() if patterns not in expected} == {}
    assert expected <= different.keys()
