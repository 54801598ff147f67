"""The signals of STOPSIGNAL."""

import re

from imagewright.errors import InvalidInput

__all__ = ["check_signal"]

# https://man7.org/linux/man-pages/man7/signal.7.html, and the real-time ones by their distance from either end.
_PLAIN = """
    ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP
    TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX
"""
_NAMES = {
    *_PLAIN.split(),
    *(f"RTMIN+{number}" for number in range(1, 16)),
    *(f"RTMAX-{number}" for number in range(1, 15)),
}

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


def check_signal(text: str) -> None:
    """Raise `InvalidInput` unless `text` names a signal, by number or name, with or without SIG, in any case.

    The engine takes any number but zero.
    """
    known = int(text) != 0 if _NUMBER.fullmatch(text) else text.upper().removeprefix("SIG") in _NAMES
    if not known:
        raise InvalidInput(f"Invalid signal: {text}")
