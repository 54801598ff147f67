"""The version of the Engine API that a request speaks, and what the daemon says of its own."""

from dataclasses import dataclass

from imagewright.errors import InvalidInput

__all__ = ["MAXIMUM", "MINIMUM", "ApiVersion"]

_PART_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class ApiVersion:
    """A version such as 1.41, ordered part by part; trailing zeros do not count."""

    parts: tuple[int, ...]

    def __str__(self) -> str:
        return ".".join(str(part) for part in self.parts)

    @classmethod
    def parse(cls, text: str) -> "ApiVersion":
        """Return the version that `text`, of digits and dots, names; what is no number between dots counts as 0."""
        parts = [_number(part) for part in text.split(".")]
        while parts and parts[-1] == 0:
            parts.pop()
        return cls(tuple(parts))

    def at_least(self, *parts: int) -> bool:
        """Whether this version is the one that `parts` name, or a later one."""
        return self.parts >= parts

    def check(self, text: str) -> None:
        """Raise `InvalidInput` if the daemon does not speak this version, which the client wrote as `text`."""
        if self > MAXIMUM:
            raise InvalidInput(f"client version {text} is too new. Maximum supported API version is {MAXIMUM}")
        if self < MINIMUM:
            raise InvalidInput(
                f"client version {text} is too old. Minimum supported API version is {MINIMUM}, "
                "please upgrade your client to a newer version"
            )


def _number(text: str) -> int:
    digits = text.lstrip("0")
    if not digits.isdecimal():
        return 0
    return _PART_LIMIT if len(digits) > 18 else int(digits)


MAXIMUM = ApiVersion((1, 51))
MINIMUM = ApiVersion((1, 21))
