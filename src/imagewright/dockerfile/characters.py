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

_SURROGATES = re.compile("[\ud800-\udfff]+")


class _Escapes(dict[int, str]):
    """How characters look between quotes, by their numbers; filled as they are asked for."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character.isprintable():
            shown = character
        elif 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
            shown = f"\\x{code - 0xDC00:02x}"
        elif code < 0x80:
            shown = f"\\x{code:02x}"
        else:
            shown = f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
        self[code] = shown
        return shown


_ESCAPES = _Escapes(
    {
        ord("\a"): r"\a",
        ord("\b"): r"\b",
        ord("\f"): r"\f",
        ord("\n"): r"\n",
        ord("\r"): r"\r",
        ord("\t"): r"\t",
        ord("\v"): r"\v",
        ord('"'): r"\"",
        ord("\\"): r"\\",
    }
)


def printable(text: str) -> str:
    """Return `text` with each undecodable byte as U+FFFD, as it looks after a way through JSON."""
    return text if text.isascii() else _SURROGATES.sub(lambda run: "\ufffd" * len(run[0]), text)


def quote(text: str) -> str:
    """Return `text` between double quotes, everything that does not print escaped."""
    return f'"{text.translate(_ESCAPES)}"'
