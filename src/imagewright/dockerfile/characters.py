r"""Which characters are white space, and how text is shown in messages.

The engine is written in Go, whose notion of white space is not Python's: U+001C to U+001F are none, for example.
Messages are compared with the engine's, so quoting follows Go's `strconv.Quote` too.
"""

import re

__all__ = ["BLANKS", "SPACES", "printable", "quote"]

#: Unicode's `White_Space`, as Go has it.
SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

#: What separates the words of one line in the older parts of the grammar.
BLANKS = "\t\v\f\r "

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    '"': r"\"",
    "\\": r"\\",
}


def printable(text: str) -> str:
    """Return `text` with each undecodable byte as U+FFFD, as it looks after a way through JSON."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def quote(text: str) -> str:
    """Return `text` between double quotes, everything that does not print escaped."""
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
