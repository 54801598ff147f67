"""The variables of a word: which are set where it stands."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imagewright.dockerfile import expand, expand_document, expand_words
from imagewright.errors import InvalidInput

__all__ = ["LONGEST_VALUE", "Expansion", "expand_and_note", "expand_document_and_note", "expand_words_and_note"]

#: How much of a value is kept: more makes no difference to any rule, and values may grow by doubling.
LONGEST_VALUE = 256

# `-` and `+` say what an unset variable stands for, `?` makes it an error.
_GUARDED = re.compile(r"\$\{(\w+):?[-+?]")


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a word expands to, and which of its variables are set and which, without an alternative, are not."""

    text: str
    set_names: frozenset[str]
    unset_names: tuple[str, ...]
    words: tuple[str, ...] = ()


def expand_and_note(word: str, variables: Mapping[str, str], escape: str) -> Expansion | None:
    """Return the expansion of `word`, None if it cannot be expanded: the build says so."""
    return _noted(word, variables, lambda find: [expand(word, find, escape=escape)])


def expand_words_and_note(word: str, variables: Mapping[str, str], escape: str) -> Expansion | None:
    """Return the expansion of `word` into words, None if it cannot be expanded."""
    return _noted(word, variables, lambda find: expand_words(word, find, escape=escape))


def expand_document_and_note(content: str, variables: Mapping[str, str]) -> Expansion | None:
    """Return the expansion of the content of a here-document, None if it cannot be expanded."""
    return _noted(content, variables, lambda find: [expand_document(content, find)])


def _noted(
    word: str, variables: Mapping[str, str], read: Callable[[Callable[[str], str | None]], list[str]]
) -> Expansion | None:
    used: dict[str, bool] = {}

    def find(name: str) -> str | None:
        used[name] = name in variables
        return variables.get(name)

    try:
        words = read(find)
    except InvalidInput:
        return None
    guarded = set(_GUARDED.findall(word))
    return Expansion(
        " ".join(words),
        frozenset(name for name, there in used.items() if there),
        tuple(name for name, there in used.items() if not there and name not in guarded),
        tuple(words),
    )
