"""What machine an image is for."""

import re
from dataclasses import dataclass

from imagewright.errors import InvalidInput
from imagewright.oci.config import ImageConfig

__all__ = ["Platform", "describe_platform", "suits"]

# Names that containerd's platform package normalises: https://github.com/containerd/platforms (database.go).
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
}
_VARIANTS = {
    ("amd64", "v1"): "",
    ("arm64", "8"): "",
    ("arm64", "v8"): "",
    ("arm", "5"): "v5",
    ("arm", "6"): "v6",
    ("arm", "7"): "v7",
    ("arm", "8"): "v8",
}
_SYSTEMS = {"macos": "darwin"}
_PART = re.compile(r"[a-z0-9_.-]+")
_KNOWN_SYSTEMS = frozenset({"linux", "windows", "darwin", "freebsd", "openbsd", "netbsd", "solaris", "wasi"})


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system, an architecture and its variant, in the names that Go gives them."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str, *, default: "Platform") -> "Platform":
        """Return the platform that `os`, `arch`, `os/arch` or `os/arch/variant` names, completed from `default`.

        Raises `InvalidInput` for anything else.
        """
        parts = text.strip().lower().split("/")
        if not 1 <= len(parts) <= 3 or not all(map(_PART.fullmatch, parts)):
            raise InvalidInput(f'"{text}": cannot parse platform specifier: invalid argument')
        if len(parts) == 1:
            system = _SYSTEMS.get(parts[0], parts[0])
            if system in _KNOWN_SYSTEMS:
                return cls(system, default.architecture, default.variant)
            architecture, variant = _ARCHITECTURES.get(parts[0], (parts[0], ""))
            return cls(default.os, architecture, variant)
        architecture, variant = _ARCHITECTURES.get(parts[1], (parts[1], ""))
        if len(parts) == 3:
            variant = parts[2]
        variant = _VARIANTS.get((architecture, variant), variant)
        return cls(_SYSTEMS.get(parts[0], parts[0]), architecture, variant)


def describe_platform(config: ImageConfig) -> str:
    """Return what an image says it is for, such as `linux/arm64/v8`, unverified; "" if it does not say."""
    return "/".join(filter(None, (config.os, config.architecture, config.variant)))


def suits(config: ImageConfig, platform: Platform) -> bool:
    """Return whether an image with `config` is for `platform`; one that does not say what it is for suits any."""
    if not (config.os and config.architecture):
        return True
    try:
        actual = Platform.parse(describe_platform(config), default=platform)
    except InvalidInput:
        return False
    if (actual.os, actual.architecture) != (platform.os, platform.architecture):
        return False
    return actual.variant == platform.variant or not (actual.variant and platform.variant)
