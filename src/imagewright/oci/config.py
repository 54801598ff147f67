"""The image configuration, with the additions that Docker makes to it.

https://github.com/opencontainers/image-spec/blob/main/config.md
"""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from imagewright.errors import InvalidInput
from imagewright.oci.digest import Digest

__all__ = [
    "Healthcheck",
    "History",
    "ImageConfig",
    "RootfsConfig",
    "RunConfig",
    "encode_config",
    "format_time",
    "parse_config",
    "parse_time",
]


class Healthcheck(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """How to tell whether a container is well; times in nanoseconds, 0 for the engine's default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RunConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """How a container of the image runs: the `config` object of the image configuration.

    None and empty differ where Docker tells them apart: `cmd` and `entrypoint` None are not set, () is set to nothing.
    """

    user: str = ""
    exposed_ports: Mapping[str, dict[str, Any]] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: Mapping[str, dict[str, Any]] | None = None
    working_dir: str = ""
    labels: Mapping[str, str] | None = None
    stop_signal: str = ""
    args_escaped: bool = False
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step in the making of an image; `created` is an RFC 3339 time."""

    created: str | None = None
    author: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootfsConfig(msgspec.Struct, frozen=True):
    """The layers of an image by diff_id, lowest first."""

    type: str = "layers"
    diff_ids: tuple[str, ...] | None = ()


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The image configuration; the sha256 of its bytes is the image id.

    The specification requires `architecture` and `os`; the engine loads images without, and so they may be empty here.
    """

    architecture: str = ""
    os: str = ""
    config: RunConfig | None = None
    rootfs: RootfsConfig = msgspec.field(default_factory=RootfsConfig)
    history: tuple[History, ...] | None = ()
    created: str | None = None
    author: str = ""
    variant: str = ""
    docker_version: str = ""
    comment: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers' diff_ids, lowest first; raises `InvalidInput` if one is not a sha256 digest."""
        return tuple(Digest.parse(text) for text in self.rootfs.diff_ids or ())

    @property
    def run(self) -> RunConfig:
        """How a container runs, with defaults where the document is silent."""
        return self.config or RunConfig()


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_decoder = msgspec.json.Decoder(ImageConfig)
_encoder = msgspec.json.Encoder(order="sorted")


def parse_config(data: bytes) -> ImageConfig:
    """Return the configuration that `data` encodes; raise `InvalidInput` where it is none.

    Keys that imagewright does not know are passed over; whoever stores an image keeps the bytes.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"invalid image configuration: {error}") from error


def encode_config(config: ImageConfig) -> bytes:
    """Return the canonical JSON of `config`: keys sorted, no white space, nothing that equals its default.

    `rootfs` and `history` are always there, as the specification wants of the first and clients expect of the second.
    """
    document = msgspec.to_builtins(config, order="sorted")
    document.setdefault("config", {})
    document["rootfs"] = {"diff_ids": list(config.rootfs.diff_ids or ()), "type": config.rootfs.type}
    document["history"] = document.get("history") or []
    return _encoder.encode(document)


def format_time(time_ns: int) -> str:
    """Return `time_ns`, in nanoseconds since 1970, as RFC 3339 in UTC, the way Go prints it: no trailing zeros.

    Raises `InvalidInput` outside the years 1 to 9999, which RFC 3339 cannot write.
    """
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    try:
        moment = _EPOCH + dt.timedelta(seconds=seconds)
    except OverflowError as error:
        raise InvalidInput(f"time out of range: {seconds} s since 1970") from error
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    # Not strftime: it does not pad the year, and Go's zero time is in the year 1.
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}{fraction}Z"


_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_time(text: str) -> int:
    """Return the nanoseconds since 1970 that the RFC 3339 time `text` names; raise `InvalidInput` if it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise InvalidInput(f"invalid time: {text[:60]!r}")
    zone = "+00:00" if match[3] in "Zz" else match[3]
    try:
        moment = dt.datetime.fromisoformat(match[1].upper() + zone)
        elapsed = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"invalid time: {text[:60]!r}") from error
    return (elapsed.days * 86400 + elapsed.seconds) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))
