import json
from pathlib import Path

import pytest

from imagewright.dockerfile.expansion import LARGEST_EXPANSION, expand, expand_document, expand_words
from imagewright.errors import InvalidInput

GOLDEN = Path(__file__).parents[2] / "golden" / "dockerfile"
# What dockerd 20.10.24 made of `LABEL r=WORD`, with the variables below; tests/compat asks it again.
EXPANSIONS = [json.loads(line) for line in (GOLDEN / "expansions.jsonl").read_text().splitlines()]
# What the classic engine knows nothing of, as the reference and BuildKit have it.
NEWER = [json.loads(line) for line in (GOLDEN / "expansions-new.jsonl").read_text().splitlines()]
VARIABLES = {
    "E": "",
    "V": "val",
    "W": "a/b/c",
    "U": "\xe4\xf6",
    "S": "s p",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


@pytest.mark.parametrize(("word", "escape", "result", "message"), EXPANSIONS + NEWER)
def test_words_expand_as_in_the_engine(word: str, escape: str, result: str | None, message: str | None) -> None:
    if result is not None:
        assert expand(word, VARIABLES, escape=escape) == result
        return
    with pytest.raises(InvalidInput) as caught:
        expand(word, VARIABLES, escape=escape)
    assert str(caught.value) == message


def test_variables_may_come_from_a_function() -> None:
    assert expand("$a ${b:-none}", {"a": "1"}.get) == "1 none"


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("", []),
        ("$E \"\" ''", []),
        ("80", ["80"]),
        ("$S", ["s", "p"]),
        ('"$S"', ["s p"]),
        ("x$S'y z'", ["xs", "py z"]),
        ("a\\ b c", ["a b", "c"]),
        ("${X:-'q r'}", ["q", "r"]),
        (" $S ", ["s", "p"]),
    ],
)
def test_words(word: str, words: list[str]) -> None:
    assert expand_words(word, VARIABLES) == words


@pytest.mark.parametrize(
    ("content", "result"),
    [
        ("\"$V\" '${V}'\n", "\"val\" 'val'\n"),
        ("\\$V \\\\ \\\n a\\n", "$V \\ \n an"),
        ('${X:-"a"}', '"a"'),
        ("it's", "it's"),
        ("\udcff$V", "\udcffval"),
    ],
)
def test_documents(content: str, result: str) -> None:
    assert expand_document(content, VARIABLES) == result


def test_documents_may_be_large_themselves() -> None:
    assert len(expand_document("a" * (LARGEST_EXPANSION + 1), {})) == LARGEST_EXPANSION + 1


@pytest.mark.parametrize(
    "word",
    [
        "$a$a",
        "a" * (LARGEST_EXPANSION + 1),
        "\xe9" * (LARGEST_EXPANSION // 2 + 1),
        '"$a$a"',
        "${x:+$a}" * 40 + "b",
        "${b//b/$a}",
    ],
)
def test_results_are_bounded(word: str) -> None:
    variables = {"a": "a" * (LARGEST_EXPANSION - 10), "b": "b" * 100}

    with pytest.raises(InvalidInput, match=r"the result is too large$") as caught:
        expand(word, variables)

    assert len(str(caught.value)) < 2000


def test_a_result_of_the_largest_size() -> None:
    assert len(expand("$a", {"a": "a" * LARGEST_EXPANSION})) == LARGEST_EXPANSION


def test_nesting_is_bounded() -> None:
    assert expand("${x:-" * 64 + "a" + "}" * 64, {}) == "a"
    with pytest.raises(InvalidInput, match=r"substitutions are nested too deeply$"):
        expand("${x:-" * 65 + "a" + "}" * 65, {})


def test_messages_hold_no_undecodable_bytes() -> None:
    with pytest.raises(InvalidInput, match=r"^failed to process \"\\\"a\\xff\": unexpected"):
        expand('"a\udcff', {})
