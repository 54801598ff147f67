r"""Splits the rest of an instruction: flags, words with their quotes, `name=value` pairs, JSON arrays.

Everything runs in linear time, whatever the text.
"""

import json
import re
from functools import cache
from typing import Any, Never

from imagewright.dockerfile.characters import BLANKS, SPACES, printable, quote
from imagewright.errors import InvalidInput

__all__ = ["split_blanks", "split_flags", "split_pairs", "split_words", "strings_of_json"]

_BLANKS = re.compile(f"[{BLANKS}]+")
_FLAG_PLAIN = re.compile(rf"[^{SPACES}'\"\\]+")
_FLAG_QUOTED = {quote_: re.compile(rf"[^\\{quote_}]+") for quote_ in "'\""}


def split_blanks(text: str, limit: int = 0) -> list[str]:
    """Split at blanks, into at most `limit` + 1 parts unless `limit` is 0; quotes mean nothing."""
    return _BLANKS.split(text, limit) if text else []


def split_flags(text: str) -> tuple[tuple[str, ...], str]:
    r"""Take the leading words that begin with `--` off `text`; return them without their quotes, and what remains.

    The word `--` ends the flags and is dropped. A backslash takes the next character literally, whatever the escape
    directive says.
    """
    flags: list[str] = []
    rest = text.lstrip(SPACES)
    position = 0
    while rest.startswith("--", position):
        flag, position = _flag(rest, position)
        if flag == "--":
            break
        flags.append(flag)
        while position < len(rest) and rest[position] in SPACES:
            position += 1
    return tuple(flags), rest[position:].strip(SPACES)


def _flag(text: str, position: int) -> tuple[str, int]:
    """Read the word at `position`; return it without quotes, and the position behind it."""
    parts: list[str] = []
    quoted = ""
    while position < len(text):
        match = (_FLAG_QUOTED[quoted] if quoted else _FLAG_PLAIN).match(text, position)
        if match:
            parts.append(match[0])
            position = match.end()
            continue
        character = text[position]
        if character == "\\":
            parts.append(text[position + 1 : position + 2])
            position += 2
        elif quoted or character in "'\"":
            quoted = "" if quoted else character
            position += 1
        else:
            break
    return "".join(parts), position


def split_words(text: str, escape: str) -> list[str]:
    r"""Split at white space outside quotes; quotes and escape characters stay, except the latter at the very end.

    A quote that is not closed ends with the text. Nothing is escaped inside single quotes.
    """
    special, tokens = _word_patterns(escape)
    if not special.search(text):
        return text.split()
    words: list[str] = []
    parts: list[str] = []
    quoted = ""
    position = 0
    while match := tokens[quoted].match(text, position):
        token = match[0]
        position = match.end()
        if token == quoted:
            quoted = ""
        elif token[0] == escape and quoted != "'":
            token = token if len(token) > 1 else ""
        elif not quoted and token in {"'", '"'}:
            quoted = token
        elif not quoted and token[0] in SPACES:
            if parts:
                words.append("".join(parts))
                parts = []
            continue
        parts.append(token)
    last = "".join(parts)
    return [*words, last] if last else words


@cache
def _word_patterns(escape: str) -> tuple[re.Pattern[str], dict[str, re.Pattern[str]]]:
    """Return what makes a text more than words and white space, and the tokens outside and inside of either quote."""
    escaped = re.escape(escape)
    special = re.compile(rf"[{escaped}'\"\x1c-\x1f]")  # the last four are white space to `str.split` only
    tokens = {
        "": re.compile(rf"[{SPACES}]+|[^{SPACES}{escaped}'\"]+|['\"]|{escaped}.?", re.DOTALL),
        "'": re.compile(r"[^']+|'"),
        '"': re.compile(rf"[^{escaped}\"]+|\"|{escaped}.?", re.DOTALL),
    }
    return special, tokens


def split_pairs(keyword: str, text: str, escape: str) -> tuple[str, ...]:
    """Split the arguments of ENV or LABEL into names and values in turn.

    There are two forms: `name=value ...`, and `name value` with a value that extends to the end of the line. The first
    word tells which one it is. Raises InvalidInput if it is neither.
    """
    words = split_words(text, escape)
    if not words:
        return ()
    if "=" not in words[0]:
        parts = split_blanks(text, 1)
        if len(parts) < 2:
            raise InvalidInput(f"{keyword} must have two arguments")
        return tuple(parts)
    pairs: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidInput(f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value")
        pairs += (name, value)
    return tuple(pairs)


def strings_of_json(text: str) -> tuple[str, ...] | None:
    """Return the strings of the JSON array that `text` begins with, or None if it does not; what follows is ignored.

    Raises InvalidInput if there is an array, and something else than strings in it.
    """
    if not text.startswith("["):
        return None
    try:
        values, _ = _JSON.raw_decode(text)
    except ValueError:
        return None
    except RecursionError:
        values = [None]  # so deep that it holds more than strings
    if not all(isinstance(value, str) for value in values):
        raise InvalidInput("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(map(printable, values))


def _number(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(text)
    return number


def _constant(text: str) -> Never:
    raise ValueError(text)


# The engine's numbers are floats that must fit, and NaN and Infinity are no JSON.
_JSON: Any = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_constant)
