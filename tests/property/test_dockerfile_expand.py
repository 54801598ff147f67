"""Expansion returns or raises InvalidInput, and agrees with a slow and obvious version of itself."""

import re
from contextlib import suppress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from imagewright.dockerfile import LARGEST_EXPANSION, expand, expand_document, expand_words
from imagewright.dockerfile.patterns import parse_pattern, remove_prefix, remove_suffix, replace
from imagewright.errors import InvalidInput

PIECES = (
    *"${}:-+?#%/\\`'\" \tabc_0*@!\udcff\xe9\u2003",
    *("$a", "${a", "${b:-", "${c:+", "}", "${a#", "${a//", "${", "${none", "${a%%*}", "${a/b/c}", '"', '"'),
)
VARIABLES = {"a": "a b/c", "b": "", "c": 'x"$a\\', "_0": "\u2003"}

words = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.text("ab/*", max_size=8)
patterns = st.lists(st.sampled_from(["a", "b", "/", "*", "?", r"\*", r"\?", r"\\"]), max_size=5).map("".join)


@given(words, st.sampled_from("\\`"))
def test_any_word_expands_or_is_refused(word: str, escape: str) -> None:
    try:
        result = expand(word, VARIABLES, escape=escape)
    except InvalidInput:
        return
    assert len(result) <= LARGEST_EXPANSION
    found = expand_words(word, VARIABLES, escape=escape)
    assert all(found)
    position = 0
    for each in found:  # the words are in the result, one after the other
        position = result.index(each, position) + len(each)


@given(words)
def test_any_document_expands_or_is_refused(content: str) -> None:
    with suppress(InvalidInput):
        expand_document(content, VARIABLES)


@given(plain.filter(lambda text: "'" not in text))
def test_single_quotes_protect_everything(text: str) -> None:
    assert expand(f"'{text}'", VARIABLES) == text
    assert expand_words(f"'{text}'", VARIABLES) == ([text] if text else [])


@given(plain)
def test_escapes_protect_everything(text: str) -> None:
    escaped = "".join(f"\\{each}" for each in text)

    assert expand(escaped, VARIABLES) == text
    assert expand_document(escaped, VARIABLES) == text
    assert expand(f"${{none:-{escaped}}}", VARIABLES) == text


@given(plain)
def test_values_are_not_expanded_again(text: str) -> None:
    assert expand("$v", {"v": text}) == text
    assert expand('x"${v}"y', {"v": text}) == f"x{text}y"
    assert expand_document("${v}", {"v": text}) == text


@given(st.lists(st.text("ab", min_size=1), max_size=5), st.sampled_from([" ", "\t ", "\u2003"]))
def test_words_are_what_stands_between_spaces(parts: list[str], space: str) -> None:
    assert expand_words(space + space.join(parts) + space, {}) == parts
    assert expand_words("$v", {"v": space.join(parts)}) == parts
    assert expand_words('"$v"', {"v": space.join(parts)}) == ([space.join(parts)] if parts else [])


def regular(pattern: str) -> re.Pattern[str]:
    tokens = re.findall(r"\\.|.", pattern)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(token) or re.escape(token[-1]) for token in tokens), re.DOTALL)


@given(values, patterns)
def test_prefixes_and_suffixes_are_those_that_a_search_of_all_finds(value: str, pattern: str) -> None:
    matches = regular(pattern).fullmatch
    prefixes = [end for end in range(len(value) + 1) if matches(value[:end])] or [0]
    suffixes = [begin for begin in range(len(value) + 1) if matches(value[begin:])] or [len(value)]
    parsed = parse_pattern(pattern)

    assert remove_prefix(value, parsed, longest=False) == value[prefixes[0] :]
    assert remove_prefix(value, parsed, longest=True) == value[prefixes[-1] :]
    assert remove_suffix(value, parsed, longest=False) == value[: suffixes[-1]]
    assert remove_suffix(value, parsed, longest=True) == value[: suffixes[0]]


@given(values, patterns, st.sampled_from(["", "X", r"\1"]))
def test_replacements_are_those_of_the_leftmost_longest_matches(value: str, pattern: str, new: str) -> None:
    matches = regular(pattern).fullmatch
    found: list[tuple[int, int]] = []
    begin = 0
    while pattern and begin <= len(value):
        ends = [end for end in range(len(value), begin - 1, -1) if matches(value[begin:end])]
        if ends and (ends[0] > begin or not found):
            found.append((begin, ends[0]))
            begin = max(ends[0], begin + 1)
        else:
            begin += 1
    cuts = [0, *(place for pair in found for place in pair), len(value)]
    kept = [value[start:end] for start, end in list(pairwise(cuts))[::2]]
    first = kept[0] + new + value[found[0][1] :] if found else value

    parsed = parse_pattern(pattern)
    assert replace(value, parsed, new, every=True, largest=100) == new.join(kept)
    assert replace(value, parsed, new, every=False, largest=100) == first
