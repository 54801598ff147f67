r"""Replaces variables in the words of an instruction, and removes their quotes.

https://docs.docker.com/reference/dockerfile/#environment-replacement. Quotes and escape characters work as in a shell;
`$(...)`, backquotes, `~` and file name patterns mean nothing here. Substitutions and messages are those of the classic
engine, and `- + # ## % %% / //` are BuildKit's besides.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache

from imagewright.dockerfile.characters import SPACES, printable, quote
from imagewright.dockerfile.patterns import parse_pattern, remove_prefix, remove_suffix, replace
from imagewright.errors import InvalidInput

__all__ = ["LARGEST_EXPANSION", "Variables", "expand", "expand_document", "expand_words"]

#: The values by name; a callable returns None for a variable that is not set.
Variables = Mapping[str, str] | Callable[[str], str | None]

#: The most bytes that an expansion may have.
LARGEST_EXPANSION = 1 << 20

_NAME = re.compile(r"\d+|[@*#?\-$!]|\w+")
_QUOTES = "'\""
_SPACES = re.compile(f"[{SPACES}]+")
# Substitutions may be discarded by the ones around them, so the work is bounded apart from the result.
_MOST_WORK = 16 * LARGEST_EXPANSION
# What a variable or a quoted part costs besides its text.
_PART = 16
_DEEPEST = 64
_LONGEST_IN_MESSAGE = 1024


def expand(word: str, variables: Variables, *, escape: str = "\\") -> str:
    """Return `word` with its variables replaced and without its quotes; white space stays.

    Raises InvalidInput, with the classic engine's text, if the word is malformed, if it demands a variable that is not
    set, or if the result would be larger than `LARGEST_EXPANSION`.
    """
    return "".join(text for text, _ in _expand(word, variables, escape, quotes=True, largest=LARGEST_EXPANSION))


def expand_words(word: str, variables: Variables, *, escape: str = "\\") -> list[str]:
    """Expand `word` and split it at white space outside quotes, also at that which came with a variable.

    Only EXPOSE needs this. Raises what `expand` raises; empty words are left out.
    """
    words: list[list[str]] = [[]]
    for text, splits in _expand(word, variables, escape, quotes=True, largest=LARGEST_EXPANSION):
        first, *others = _SPACES.split(text) if splits else [text]
        words[-1].append(first)
        words += ([other] for other in others)
    return list(filter(None, map("".join, words)))


def expand_document(content: str, variables: Variables) -> str:
    r"""Return the content of a here-document with its variables replaced; quotes are ordinary characters.

    As in BuildKit a backslash is dropped, and what follows it is taken literally, whatever the escape directive says.
    Raises what `expand` raises; the document's own size does not count against the limit.
    """
    largest = len(content.encode("utf-8", "surrogatepass")) + LARGEST_EXPANSION
    return "".join(text for text, _ in _expand(content, variables, "\\", quotes=False, largest=largest))


def _expand(word: str, variables: Variables, escape: str, *, quotes: bool, largest: int) -> list[tuple[str, bool]]:
    # Most words are their own expansion; no character has more than four bytes.
    if len(word) * 4 <= largest and not _special(escape, quotes=quotes).search(word):
        return [(word, True)]
    find = variables if callable(variables) else variables.get
    expansion = _Expansion(word, find, escape, quotes=quotes, most=_MOST_WORK + largest)
    try:
        pieces = expansion.pieces("", keep_escapes=False)
        _check_size(pieces, largest)
    except InvalidInput as error:
        shown = word if len(word) <= _LONGEST_IN_MESSAGE else word[:_LONGEST_IN_MESSAGE] + "..."
        raise InvalidInput(printable(f"failed to process {quote(shown)}: {error}")) from error
    return pieces


def _check_size(pieces: list[tuple[str, bool]], largest: int) -> None:
    if sum(len(text.encode("utf-8", "surrogatepass")) for text, _ in pieces) > largest:
        raise InvalidInput("the result is too large")


@cache
def _special(escape: str, *, quotes: bool) -> re.Pattern[str]:
    """Return what makes a word more than its own expansion."""
    return re.compile(f"[${re.escape(escape)}{_QUOTES if quotes else ''}]")


@cache
def _plain(special: str) -> re.Pattern[str]:
    return re.compile(f"[^{re.escape(special)}]+", re.DOTALL)


class _Expansion:
    """One pass over a word; `position` is where it stands."""

    def __init__(self, word: str, find: Callable[[str], str | None], escape: str, *, quotes: bool, most: int) -> None:
        self._word = word
        self._find = find
        self._escape = escape
        self._quotes = _QUOTES if quotes else ""
        self._left = most
        self._position = 0
        self._depth = 0

    def pieces(self, stop: str, *, keep_escapes: bool) -> list[tuple[str, bool]]:
        """Expand up to `stop`, which is taken too, or to the end if it is empty.

        Each piece comes with whether white space in it separates words.
        """
        plain = _plain(f"${self._quotes}{self._escape}{stop}")
        pieces: list[tuple[str, bool]] = []
        while self._position < len(self._word):
            match = plain.match(self._word, self._position)
            if match:
                self._position = match.end()
                pieces.append((self._spend(match[0]), True))
                continue
            character = self._take()
            if character == stop:
                return pieces
            if character == "$":
                pieces.append((self._spend(self._dollar(), _PART), True))
            elif character == self._escape:
                pieces.append(((character if keep_escapes else "") + self._take(), False))
            else:
                self._spend("", _PART)
                pieces.append((self._quoted(character, keep_escapes=keep_escapes), False))
        if stop:
            raise InvalidInput(f"unexpected end of statement while looking for matching {stop}")
        return pieces

    def _take(self) -> str:
        character = self._word[self._position : self._position + 1]
        self._position += 1
        return character

    def _peek(self) -> str:
        return self._word[self._position : self._position + 1]

    def _spend(self, text: str, more: int = 0) -> str:
        self._left -= len(text) + more
        if self._left < 0:
            raise InvalidInput("the result is too large")
        return text

    def _quoted(self, mark: str, *, keep_escapes: bool) -> str:
        pieces: list[str] = []
        plain = _plain("'" if mark == "'" else f'"${self._escape}')
        while self._position < len(self._word):
            match = plain.match(self._word, self._position)
            if match:
                self._position = match.end()
                pieces.append(self._spend(match[0]))
                continue
            character = self._take()
            if character == mark:
                return "".join(pieces)
            if character == "$":
                pieces.append(self._spend(self._dollar(), _PART))
            elif self._peek() in {'"', "$", self._escape}:
                pieces.append((character if keep_escapes else "") + self._take())
            else:
                pieces.append(character)
        kind = "single" if mark == "'" else "double"
        raise InvalidInput(f"unexpected end of statement while looking for matching {kind}-quote")

    def _dollar(self) -> str:
        match = _NAME.match(self._word, self._position)
        if match is not None:
            self._position = match.end()
            return self._find(match[0]) or ""
        if self._peek() != "{":
            return "$"
        self._position += 1
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InvalidInput("substitutions are nested too deeply")
        value = self._braces()
        self._depth -= 1
        return value

    def _name(self) -> str:
        match = _NAME.match(self._word, self._position)
        if match is None:
            return ""
        self._position = match.end()
        return match[0]

    def _braces(self) -> str:
        if self._position >= len(self._word):
            raise InvalidInput("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise InvalidInput("syntax error: bad substitution")
        name = self._name()
        value = self._find(name)
        operator = self._take()
        if operator == "}":
            return value or ""
        if operator == ":":
            return self._default(name, value or None, self._take(), empty=value is not None)
        if operator and operator in "-+?":
            return self._default(name, value, operator, empty=False)
        if operator and operator in "#%":
            return self._trim(value or "", operator)
        if operator == "/":
            return self._replace(value or "")
        raise InvalidInput("missing ':' in substitution")

    def _operand(self, stop: str, missing: str, *, keep_escapes: bool = False) -> str:
        try:
            return "".join(text for text, _ in self.pieces(stop, keep_escapes=keep_escapes))
        except InvalidInput:
            if self._position >= len(self._word):
                raise InvalidInput(missing) from None
            raise

    def _default(self, name: str, value: str | None, operator: str, *, empty: bool) -> str:
        operand = self._operand("}", "syntax error: missing '}'")
        if operator == "-":
            return operand if value is None else value
        if operator == "+":
            return "" if value is None else operand
        if operator == "?":
            if value is None:
                state = "empty" if empty else "unset"
                raise InvalidInput(f"{name}: {operand or f'is not allowed to be {state}'}")
            return value
        raise InvalidInput(f"unsupported modifier ({operator}) in substitution")

    def _trim(self, value: str, operator: str) -> str:
        operand = self._operand("}", "syntax error: missing '}'", keep_escapes=True)
        longest = operand.startswith(operator)
        pattern = parse_pattern(operand.removeprefix(operator))
        return (remove_prefix if operator == "#" else remove_suffix)(self._spend(value), pattern, longest=longest)

    def _replace(self, value: str) -> str:
        every = self._peek() == "/"
        if every:
            self._position += 1
        pattern = self._operand("/", "syntax error: missing '/' in ${}", keep_escapes=True)
        replacement = self._operand("}", "syntax error: missing '}'")
        return replace(self._spend(value), parse_pattern(pattern), replacement, every=every, largest=LARGEST_EXPANSION)
