import time

import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import Directory, Fifo, IgnorePatterns, Node, find, walk

_FIFO = Fifo(mode=0o600)


def _directory(**children: Node) -> Directory:
    return Directory(mode=0o755, children=children)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a", "a"),
        ("a", "a/b/c"),
        ("/a", "a"),
        ("a/", "a/b"),
        ("./a/../b", "b"),
        ("a/b", "a/b/c"),
        ("*", "a"),
        ("*", "a/b"),
        ("*.md", "x.md"),
        ("*/b", "a/b"),
        ("?", "a"),
        ("a?c", "abc/d"),
        ("[ab]c", "bc"),
        ("[^a]c", "bc"),
        ("**", "a/b/c"),
        ("**/b", "b"),
        ("**/b", "a/b"),
        ("**/b", "x/y/b/c"),
        ("**/*.pyc", "a.pyc"),
        ("**/*.pyc", "a/b/c.pyc"),
        ("a/**", "a/b/c"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("**/a/**/b/**/c", "x/a/y/a/b/z/b/c/d"),
        ("a**b", "ab"),
        ("a**b", "a/b"),
        ("a**b", "ax/y/b"),
        ("**a**b", "x/ay/b"),
        ("a***/b", "a/b"),
        ("***/a", "x/a"),
        ("**c", "a/bc/d"),
        ("**.md", "a/b.md"),
        ("**[c]", "a/c"),
        ("x**", "xy/z"),
        ("**/*x", "a/xx"),
        ("\\*a", "*a"),
        ("a.b+(c)", "a.b+(c)"),
        ("a$", "a$/b"),
        ("*a*b*c", "xaybzc/d"),
        ("\udcff*", "\udcffa"),
    ],
)
def test_path_is_ignored(pattern: str, path: str) -> None:
    assert IgnorePatterns.parse([pattern]).ignored(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a", "b"),
        ("a", "ab"),
        ("a", "b/a"),
        ("a/b", "a"),
        ("*.md", "a/x.md"),
        ("*/b", "b"),
        ("?", "ab"),
        ("a/**", "a"),
        ("a/**", "ab/c"),
        ("a/**/b", "ab"),
        ("**/b", "ab"),
        ("a**b", "axb"),
        ("[^a]c", "a/c"),
        ("a.c", "abc"),
        (".", "a"),
        ("/", "a"),
        ("..", "a"),
        ("!a", "a"),
        ("# a", "# a"),
        ("", "a"),
        ("A", "a"),
        ("***/a", "a"),
        ("../a", "a"),
        ("a/../../b", "b"),
        ("**[c]", "abc"),
        ("**/c", "abc"),
        ("**c", "abcd"),
    ],
)
def test_path_is_not_ignored(pattern: str, path: str) -> None:
    assert not IgnorePatterns.parse([pattern]).ignored(path)


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        (["*.md", "!README.md"], ["a.md"], ["README.md"]),
        (["*.md", "!README*.md", "README-secret.md"], ["README-secret.md", "a.md"], ["README.md"]),
        (["*", "!a"], ["b", "b/a"], ["a", "a/b"]),
        (["a", "!a/b"], ["a", "a/c"], ["a/b", "a/b/c"]),
        (["!a", "a"], ["a"], []),
        (["*", "!a", "a/b"], ["a/b/c"], ["a/c"]),
        (["**/x", "! a/x "], ["x", "b/x"], ["a/x"]),
    ],
)
def test_the_last_match_decides(lines: list[str], ignored: list[str], kept: list[str]) -> None:
    patterns = IgnorePatterns.parse(lines)

    assert [path for path in ignored if not patterns.ignored(path)] == []
    assert [path for path in kept if patterns.ignored(path)] == []


def test_a_whole_file_is_read() -> None:
    data = b"\xef\xbb\xbf# comment\r\n\r\n  /a/ \r\n # no comment\n!\tb\n\xff\n"

    assert IgnorePatterns.read(data).patterns == ("a", "# no comment", "!b", "\udcff")


def test_which_pattern_decides_and_where_it_stands() -> None:
    patterns = IgnorePatterns.read(b"# comment\n*\n\n!a\n.\na/b\n")

    assert patterns.lines == (2, 4, 6)
    assert [patterns.decisive(path) for path in ("x", "a", "a/c", "a/b/c")] == [0, 1, 1, 2]
    assert IgnorePatterns.parse(["a"]).decisive("b") is None


def test_lines_do_not_count_in_comparisons() -> None:
    assert IgnorePatterns.read(b"\na") == IgnorePatterns.read(b"a") == IgnorePatterns(("a",))


def test_no_patterns_ignore_nothing() -> None:
    assert not IgnorePatterns.parse([]).ignored("a")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("!", 'illegal exclusion pattern: "!"'),
        ("[", "syntax error in pattern"),
        ("!a[", "syntax error in pattern"),
        ("a\\", "syntax error in pattern"),
        ("a**b**c**d**e", r"syntax error in pattern: too many \*\* within names"),
    ],
)
def test_malformed_pattern_is_refused(line: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        IgnorePatterns.parse([line])


@pytest.mark.parametrize("pattern", ["*a" * 40 + "b", "**/a/" * 40 + "b", "**a**a**b", "[^b]*" * 30])
def test_hostile_patterns_take_no_time(pattern: str) -> None:
    patterns = IgnorePatterns.parse([pattern])

    start = time.process_time()
    for path in ("a" * 255, "/".join(["a"] * 500), "/".join(["a" * 40] * 50)):
        patterns.ignored(path)
    assert time.process_time() - start < 2


def test_prune_leaves_out_what_is_ignored() -> None:
    shared = _directory(x=_FIFO)
    tree = _directory(a=_directory(b=_FIFO, c=_FIFO), d=shared, e=_FIFO, g=_directory(b=_directory(h=_FIFO)))

    pruned = IgnorePatterns.parse(["e", "**/b"]).prune(tree)

    assert [path for path, _ in walk(pruned)] == ["a", "a/c", "d", "d/x", "g"]
    assert find(pruned, "d") is shared
    assert IgnorePatterns.parse(["z"]).prune(tree) is tree


def test_prune_keeps_an_ignored_directory_for_what_is_not() -> None:
    tree = _directory(a=_directory(b=_FIFO, c=_FIFO), d=_directory(x=_FIFO))

    pruned = IgnorePatterns.parse(["*", "!a/b"]).prune(tree)

    assert [path for path, _ in walk(pruned)] == ["a", "a/b"]


@pytest.mark.parametrize("line", ["*a" * 100, "**/" * 50 + "b?"])
def test_patterns_that_would_take_long_to_read(line: str) -> None:
    with pytest.raises(InvalidInput, match=r"^line \d+: more than 20000 patterns and wildcards$"):
        IgnorePatterns.parse([line] * 1000)
