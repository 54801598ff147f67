import pytest

from imagewright.dockerfile.words import split_blanks, split_flags, split_pairs, split_words, strings_of_json
from imagewright.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "parts"),
    [("", []), ("a", ["a"]), ("a \t\v\f\rb", ["a", "b"]), ("a\u2003b 'c d'", ["a\u2003b", "'c", "d'"])],
)
def test_split_blanks(text: str, parts: list[str]) -> None:
    assert split_blanks(text) == parts


def test_split_blanks_up_to_a_limit() -> None:
    assert split_blanks("a  b c", 1) == ["a", "b c"]


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        ("", (), ""),
        ("a --b", (), "a --b"),
        ("-a b", (), "-a b"),
        ("--a", ("--a",), ""),
        ("--a=b  --c\td e ", ("--a=b", "--c"), "d e"),
        ("\u2003--a\u2003b", ("--a",), "b"),
        ("-- --a b", (), "--a b"),
        ("--a -- --b", ("--a",), "--b"),
        ("--", (), ""),
        ("--a=\"b c\"'d e' f", ("--a=b cd e",), "f"),
        ('--"a"=b', ("--a=b",), ""),
        (r"--a=b\ c\"d e", ('--a=b c"d',), "e"),
        (r'--a="\"b\c" d', ('--a="bc',), "d"),
        (r"--a='b\'c' d", ("--a=b'c",), "d"),
        ('--a="b', ("--a=b",), ""),
        ("--a=b\\", ("--a=b",), ""),
        ('--a="b\\', ("--a=b",), ""),
        ("--\xe9=\x85", ("--\xe9=",), ""),
    ],
)
def test_split_flags(text: str, flags: tuple[str, ...], rest: str) -> None:
    assert split_flags(text) == (flags, rest)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("a  b\u2003c", ["a", "b", "c"]),
        ("a\x1cb", ["a\x1cb"]),
        ("a 'b c' d", ["a", "'b c'", "d"]),
        ("""a"b c"'d e'f g""", ["""a"b c"'d e'f""", "g"]),
        ('"it\'s" b', ['"it\'s"', "b"]),
        ("'a\"b' c", ["'a\"b'", "c"]),
        ("'\"' \"'\"", ["'\"'", '"\'"']),
        (r"a\ b c", [r"a\ b", "c"]),
        (r'"a\" b" c', [r'"a\" b"', "c"]),
        (r"'a\' b", [r"'a\'", "b"]),
        ("a\\", ["a"]),
        ("\\", []),
        ('"a\\', ['"a']),
        ('a "b c', ["a", '"b c']),
        ('""', ['""']),
        (' "" ', ['""']),
        ("`a` b", ["`a`", "b"]),
        ("a\\\n b", ["a\\\n", "b"]),
    ],
)
def test_split_words(text: str, words: list[str]) -> None:
    assert split_words(text, "\\") == words


def test_split_words_with_another_escape_character() -> None:
    assert split_words(r"c:\a ` b", "`") == [r"c:\a", "` b"]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", ()),
        ("a=b", ("a", "b")),
        ("a=b c= d==e", ("a", "b", "c", "", "d", "=e")),
        ('a="b c" "d e"=f', ("a", '"b c"', '"d e"', "f")),
        ("a  b  c", ("a", "b  c")),
        ("a = b", ("a", "= b")),
        ('"a b" c', ('"a', 'b" c')),
        ("=a", ("", "a")),
    ],
)
def test_split_pairs(text: str, pairs: tuple[str, ...]) -> None:
    assert split_pairs("ENV", text, "\\") == pairs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "ENV must have two arguments"),
        ("a\u2003b", "ENV must have two arguments"),
        ("a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        ('a=b "c', 'Syntax error - can\'t find = in "\\"c". Must be of the form: name=value'),
    ],
)
def test_pairs_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        split_pairs("ENV", text, "\\")

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "strings"),
    [
        ("", None),
        ("a", None),
        ('{"a": 1}', None),
        ("[]", ()),
        ("[ ]x", ()),
        ('["a", "b"] c', ("a", "b")),
        (r'["\u00e4\n\/\ud83d\ude00"]', ("\xe4\n/\U0001f600",)),
        (r'["\ud800", "x"]', ("\ufffd", "x")),
        ('["\udcff"]', ("\ufffd",)),
        ("['a']", None),
        ('["a"', None),
        ('["a",]', None),
        ('["a" "b"]', None),
        ('["a\tb"]', None),
        (r'["\x41"]', None),
        (r'["\u12"]', None),
        ("[NaN]", None),
        ("[-Infinity]", None),
        ("[1e999]", None),
        ("[" + "1" * 5000 + "]", None),
        ("[" * 100_000, None),
    ],
)
def test_strings_of_json(text: str, strings: tuple[str, ...] | None) -> None:
    if text == "[" * 100_000:
        with pytest.raises(InvalidInput):
            strings_of_json(text)
        return
    assert strings_of_json(text) == strings


@pytest.mark.parametrize("text", ["[1]", "[1.5e3, -2]", '["a", null]', "[true]", '[["a"]]', "[{}]"])
def test_arrays_of_something_else(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^when using JSON array syntax, arrays must be comprised of strings only$"):
        strings_of_json(text)
