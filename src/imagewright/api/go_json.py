"""Reading JSON parameters with the error texts that clients know from the engine, which is written in Go.

The grammar is RFC 8259; the texts are those of Go's `encoding/json`.
"""

import json
import re
from typing import Any, Self

from imagewright.api.encoding import presentable
from imagewright.errors import InvalidInput

__all__ = ["decode", "kind_of"]

_SPACE = re.compile(rb"[ \t\r\n]*")
# What may stand in a string up to its end or its next escape.
_PLAIN = re.compile(rb'[^\x00-\x1f"\\]*')
_DIGITS = re.compile(rb"[0-9]*")
_LITERALS = {0x74: b"true", 0x66: b"false", 0x6E: b"null"}
_KINDS: dict[type, str] = {bool: "bool", str: "string", list: "array", dict: "object"}
_ESCAPES = frozenset(b'bfnrt\\/"')
_INT64 = 1 << 63
# The types of parameters that are structures, with their fields; names count in any case.
_STRUCTS: dict[str, dict[str, str]] = {
    "units.Ulimit": {"Name": "string", "Hard": "int64", "Soft": "int64"},
    "types.ImageBuildOutput": {"Type": "string", "Attrs": "map[string]string"},
}
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_HEX = frozenset(b"0123456789abcdefABCDEF")
# Deeper documents than this are not parameters of anything here, and Python's own parser would give up on them.
_DEPTH_LIMIT = 100
# What Go's decoder stops at, so that it finds other errors first.
_SCAN_LIMIT = 10_000

_QUOTED = {
    0x27: r"\'",
    0x22: '"',
    0x5C: r"\\",
    7: r"\a",
    8: r"\b",
    12: r"\f",
    10: r"\n",
    13: r"\r",
    9: r"\t",
    11: r"\v",
}


def decode(text: str, go_type: str) -> Any:
    """Return what `text` says, checked against `go_type`.

    That is `string`, `bool`, `int64`, `any`, `*T`, `[]T`, `map[string]T` or a structure, which gives a dictionary of
    all its fields. `null` gives None where the type has one, and the empty value where it has not. Raises
    `InvalidInput` with the text that Go's decoder gives for the first thing wrong.
    """
    data = text.encode("utf-8", "surrogateescape")
    scanner = _Scanner(data)
    scanner.check()
    if scanner.depth > _DEPTH_LIMIT:
        raise InvalidInput("exceeded max depth")
    document = json.loads(data.decode("utf-8", "replace"), parse_int=_Number, parse_float=_Number)
    return _fit(document, go_type)


class _Number(float):
    """A number, and how it was written."""

    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


def _fit(value: Any, go_type: str, field: str = "") -> Any:
    """Return `value` as `go_type` has it; `field` is of which structure it is."""
    if go_type == "any":
        return value
    if go_type.startswith("*"):
        return None if value is None else _fit(value, go_type[1:], field)
    if go_type == "int64" and (value is None or isinstance(value, _Number)):
        return _integer(value, field)
    if go_type in _STRUCTS and (value is None or isinstance(value, dict)):
        return _structure(value or {}, go_type)
    if go_type == "string" and (value is None or isinstance(value, str)):
        return presentable(value or "")
    if go_type == "bool" and (value is None or isinstance(value, bool)):
        return bool(value)
    if go_type.startswith("[]") and (value is None or isinstance(value, list)):
        return None if value is None else [_fit(item, go_type[2:], field) for item in value]
    if go_type.startswith("map[string]") and (value is None or isinstance(value, dict)):
        inner = go_type.removeprefix("map[string]")
        return None if value is None else {presentable(key): _fit(item, inner, field) for key, item in value.items()}
    raise _unfit(kind_of(value), go_type, field)


def _integer(value: _Number | None, field: str) -> int:
    if value is None:
        return 0
    if not _INTEGER.fullmatch(value.text) or not -_INT64 <= int(value.text) < _INT64:
        raise _unfit(f"number {value.text[:100]}", "int64", field)
    return int(value.text)


def _structure(value: dict[str, Any], go_type: str) -> dict[str, Any]:
    fields = _STRUCTS[go_type]
    names = {name.lower(): name for name in fields}
    found: dict[str, Any] = {names[key.lower()]: item for key, item in value.items() if key.lower() in names}
    short = go_type.rpartition(".")[2]
    return {name: _fit(found.get(name), kind, f"{short}.{name}") for name, kind in fields.items()}


def _unfit(kind: str, go_type: str, field: str) -> InvalidInput:
    target = f"struct field {field}" if field else "value"
    return InvalidInput(f"json: cannot unmarshal {kind} into Go {target} of type {go_type}")


def kind_of(value: Any) -> str:
    """Return what Go calls the kind of JSON value that `value` is."""
    return _KINDS.get(type(value), "number")


class _Scanner:
    """Walks over a document once and raises for the first byte that cannot stand where it stands."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._open: list[str] = []
        self._state = "value"
        self.depth = 0

    def check(self) -> None:
        while True:
            self._skip(_SPACE)
            if self._at == len(self._data) and self._state == "after" and not self._open:
                break
            byte = self._peek()
            match self._state:
                case "first key" | "key":
                    self._key(byte)
                case "colon":
                    self._expect(byte == 0x3A, byte, "after object key")
                    self._step("value")
                case "after":
                    self._after(byte)
                case _:
                    self._value(byte)

    def _key(self, byte: int) -> None:
        if byte == 0x7D and self._state == "first key":
            self._close()
            return
        self._expect(byte == 0x22, byte, "looking for beginning of object key string")
        self._string()
        self._state = "colon"

    def _value(self, byte: int) -> None:
        if byte == 0x5D and self._state == "first value":
            self._close()
        elif byte == 0x7B:
            self._enter("object", "first key")
        elif byte == 0x5B:
            self._enter("array", "first value")
        else:
            if byte == 0x22:
                self._string()
            elif byte in _LITERALS:
                self._literal(_LITERALS[byte])
            else:
                self._expect(byte == 0x2D or 0x30 <= byte <= 0x39, byte, "looking for beginning of value")
                self._number()
            self._state = "after"

    def _after(self, byte: int) -> None:
        if not self._open:
            self._expect(False, byte, "after top-level value")
        elif self._open[-1] == "object":
            self._expect(byte in b",}", byte, "after object key:value pair")
            self._close() if byte == 0x7D else self._step("key")
        else:
            self._expect(byte in b",]", byte, "after array element")
            self._close() if byte == 0x5D else self._step("value")

    def _string(self) -> None:
        self._at += 1
        while True:
            self._skip(_PLAIN)
            byte = self._peek()
            self._expect(byte in b'"\\', byte, "in string literal")
            self._at += 1
            if byte == 0x22:
                return
            escape = self._peek_or_blank()
            self._expect(escape in _ESCAPES or escape == 0x75, escape, "in string escape code")
            self._at += 1
            for _ in range(4 if escape == 0x75 else 0):
                digit = self._peek_or_blank()
                self._expect(digit in _HEX, digit, r"in \u hexadecimal character escape")
                self._at += 1

    def _literal(self, word: bytes) -> None:
        for expected in word:
            byte = self._peek_or_blank()
            self._expect(byte == expected, byte, f"in literal {word.decode()} (expecting '{chr(expected)}')")
            self._at += 1

    def _number(self) -> None:
        if self._peek() == 0x2D:
            self._at += 1
        first = self._digit("in numeric literal")
        if first != 0x30:
            self._skip(_DIGITS)
        if self._data[self._at : self._at + 1] == b".":
            self._at += 1
            self._digit("after decimal point in numeric literal")
            self._skip(_DIGITS)
        if self._data[self._at : self._at + 1] in {b"e", b"E"}:
            self._at += 1
            if self._peek_or_blank() in b"+-":
                self._at += 1
            self._digit("in exponent of numeric literal")
            self._skip(_DIGITS)

    def _digit(self, where: str) -> int:
        byte = self._peek_or_blank()
        self._expect(0x30 <= byte <= 0x39, byte, where)
        self._at += 1
        return byte

    def _enter(self, kind: str, state: str) -> None:
        self._open.append(kind)
        self.depth = max(self.depth, len(self._open))
        if self.depth > _SCAN_LIMIT:
            raise InvalidInput("exceeded max depth")
        self._step(state)

    def _close(self) -> None:
        self._open.pop()
        self._step("after")

    def _step(self, state: str) -> None:
        self._at += 1
        self._state = state

    def _skip(self, pattern: re.Pattern[bytes]) -> None:
        found = pattern.match(self._data, self._at)
        self._at = found.end() if found else self._at

    def _peek(self) -> int:
        if self._at >= len(self._data):
            raise InvalidInput("unexpected end of JSON input")
        return self._data[self._at]

    def _peek_or_blank(self) -> int:
        """Return the next byte; Go's decoder sees a blank at the end."""
        return self._data[self._at] if self._at < len(self._data) else 0x20

    def _expect(self, condition: object, byte: int, where: str) -> None:
        if not condition:
            raise InvalidInput(f"invalid character '{_quote(byte)}' {where}")


def _quote(byte: int) -> str:
    if byte in _QUOTED:
        return _QUOTED[byte]
    printable = 0x20 <= byte < 0x7F or (byte >= 0xA1 and byte != 0xAD)
    return chr(byte) if printable else (f"\\x{byte:02x}" if byte < 0x80 else f"\\u{byte:04x}")
