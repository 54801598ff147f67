"""The texts by which an image's history names its instructions: those of the classic builder, whose printing is Go's.

https://pkg.go.dev/fmt: `%v` and `%q` of lists and structures; https://pkg.go.dev/strconv: Quote and QuoteRune;
https://pkg.go.dev/time: Duration.String.
"""

from collections.abc import Sequence

from imagewright.oci import Healthcheck

__all__ = ["format_duration", "format_healthcheck", "format_list", "quote", "quote_list", "record"]

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}
_REPLACEMENT = 0xFFFD
_UNITS = ((3_600_000_000_000, "h"), (60_000_000_000, "m"))


def record(shell: Sequence[str], instruction: str, *, tight: bool = False) -> str:
    """Return the text of an instruction that ran nothing; `tight` for those that the engine writes with one space."""
    return f"{' '.join(shell)} #(nop) {'' if tight else ' '}{instruction}"


def format_list(words: Sequence[str]) -> str:
    """Return `words` as `%v` prints a list of strings: between brackets, not quoted."""
    return f"[{' '.join(words)}]"


def quote_list(words: Sequence[str]) -> str:
    """Return `words` as `%q` prints a list of strings: between brackets, each quoted."""
    return f"[{' '.join(map(quote, words))}]"


def quote(text: str) -> str:
    """Return `text` between double quotes, with what cannot be printed escaped."""
    return '"' + "".join('\\"' if character == '"' else _escape(character) for character in text) + '"'


def format_duration(nanoseconds: int) -> str:
    """Return a length of time the way Go prints it: `1h30m0s`, `1.5s`, `20ms`, `0s`."""
    if nanoseconds < 1_000_000_000:
        return _format_fraction(nanoseconds)
    text = ""
    for size, unit in _UNITS:
        if nanoseconds >= size or text:
            count, nanoseconds = divmod(nanoseconds, size)
            text += f"{count}{unit}"
    return f"{text}{_decimal(nanoseconds, 1_000_000_000)}s"


def format_healthcheck(check: Healthcheck) -> str:
    """Return `check` as `%q` prints a pointer to the structure; the start interval only where there is one."""
    periods = [check.interval, check.timeout, check.start_period]
    if check.start_interval:
        periods.append(check.start_interval)
    words = [
        quote_list(check.test),
        *(quote(format_duration(period)) for period in periods),
        _quote_rune(check.retries),
    ]
    return f"&{{{' '.join(words)}}}"


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        # An undecodable byte.
        return f"\\x{code - 0xDC00:02x}"
    # Go and Python agree on what is printable: everything but the categories Other and Separator, and the space.
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _quote_rune(number: int) -> str:
    """Return `number` as `%q` prints an integer: as the character that it is the code of."""
    if not 0 <= number <= 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        number = _REPLACEMENT
    character = chr(number)
    return "'" + ("\\'" if character == "'" else _escape(character)) + "'"


def _format_fraction(nanoseconds: int) -> str:
    for size, unit in ((1_000_000, "ms"), (1000, "µs"), (1, "ns")):
        if nanoseconds >= size:
            return f"{_decimal(nanoseconds, size)}{unit}"
    return "0s"


def _decimal(number: int, size: int) -> str:
    """Return `number / size` in decimal without trailing zeros; `size` is a power of ten."""
    whole, fraction = divmod(number, size)
    digits = str(size + fraction)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
