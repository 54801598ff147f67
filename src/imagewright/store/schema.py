"""The tables of the metadata database.

Digests are kept as their 64 hexadecimal digits, lists and maps as JSON; times are in nanoseconds since 1970, sizes in
bytes.
"""

import json
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)

from imagewright.oci import Digest

__all__ = [
    "SCHEMA_VERSION",
    "blobs",
    "chains",
    "containers",
    "images",
    "layers",
    "manifests",
    "metadata",
    "places",
    "properties",
    "records",
    "references",
    "stacks",
    "summaries",
    "uses",
]

SCHEMA_VERSION = 4


class _DigestText(TypeDecorator[Digest]):
    impl = String(64)
    cache_ok = True

    def process_bind_param(self, value: Digest | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - as the base class has it
        return None if value is None else value.encoded

    def process_result_value(self, value: str | None, dialect: Dialect) -> Digest | None:  # noqa: ARG002 - the same
        return None if value is None else Digest(value)


class _BigNumber(TypeDecorator[int]):
    """Times: those of Go's zero time, which images do have, are beyond 64 bits in nanoseconds."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - as the base class has it
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the same
        return None if value is None else int(value)


class _Json(TypeDecorator[Any]):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - as the base class has it
        try:
            return None if value is None else msgspec.json.encode(value).decode()
        except UnicodeEncodeError:
            # Bytes of a Dockerfile that are no UTF-8 are surrogates: the standard library writes and reads them.
            return json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - the same
        try:
            return None if value is None else msgspec.json.decode(value)
        except msgspec.DecodeError:
            return json.loads(str(value))


metadata = MetaData()

properties = Table(
    "properties",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="schema_version, the generation of the image list, and the boot of the last use",
)

layers = Table(
    "layers",
    metadata,
    Column("diff_id", _DigestText, primary_key=True),
    Column("form", String, nullable=False, comment="where the bytes are: tar or directory"),
    Column("size", BigInteger, nullable=False, comment="of the files' contents"),
    Column("tar_size", BigInteger, nullable=False, comment="of the uncompressed tar"),
    Column("complete", Boolean, nullable=False, comment="whether every change has its parent directories"),
    Column("below", _DigestText, nullable=True, comment="of a directory: the chain_id that it was captured on"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", _DigestText, primary_key=True),
    Column("diff_id", _DigestText, nullable=False, index=True, comment="of the layer that it is when unpacked"),
    Column("compression", String, nullable=False, comment="gzip, zstd, or another that its first bytes say"),
    Column("size", BigInteger, nullable=False),
    comment="the compressed forms of layers, as they came or were sent; verified",
)

places = Table(
    "places",
    metadata,
    Column("digest", _DigestText, primary_key=True),
    Column("repository", String, primary_key=True, comment="with its registry"),
    Column("diff_id", _DigestText, nullable=False, index=True),
    comment="the repositories where the forms of layers have been seen",
)

manifests = Table(
    "manifests",
    metadata,
    Column("digest", _DigestText, primary_key=True),
    Column("image", _DigestText, nullable=False, index=True),
    Column("media_type", String, nullable=False),
    Column("data", LargeBinary, nullable=False),
    comment="under which images were pulled or pushed",
)

images = Table(
    "images",
    metadata,
    Column("id", _DigestText, primary_key=True),
    Column("config", LargeBinary, nullable=False, comment="as it came: its sha256 is the id"),
    Column("parent", _DigestText, nullable=True, index=True),
    Column("created_ns", _BigNumber, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("tagged_ns", _BigNumber, nullable=False),
)

stacks = Table(
    "stacks",
    metadata,
    Column("owner", String, primary_key=True, comment="the id of an image or of a container"),
    Column("position", Integer, primary_key=True, comment="0 is the lowest layer"),
    Column("diff_id", _DigestText, nullable=False, index=True),
    Column("chain_id", _DigestText, nullable=False, index=True),
    comment="the layers that images and containers hold",
)

chains = Table(
    "chains",
    metadata,
    Column("chain_id", _DigestText, primary_key=True),
    Column("size", BigInteger, nullable=False, comment="of the contents of its highest layer"),
    Column("images", Integer, nullable=False, comment="how many images that are counted have it, at least one"),
    comment="the stacks of layers of images, for the sizes that are shared: follows from the other tables",
)

uses = Table(
    "uses",
    metadata,
    Column("id", _DigestText, primary_key=True),
    Column("last_used_ns", _BigNumber, nullable=False),
    comment="when each image was last used: beside its row, which is large and else never written again",
)

references = Table(
    "image_references",
    metadata,
    Column("name", String, primary_key=True, comment="canonical, with its tag or its digest"),
    Column("image", _DigestText, nullable=False, index=True),
)

summaries = Table(
    "summaries",
    metadata,
    Column("id", _DigestText, primary_key=True),
    Column("parent", _DigestText, nullable=True),
    Column("created_ns", _BigNumber, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("names", _Json, nullable=False, comment="canonical, in order"),
    Column("labels", _Json, nullable=True),
    Column("containers", Integer, nullable=False),
    Column("counted", Boolean, nullable=False, server_default=false(), comment="whether it counts in `chains`"),
    Column("shared_size", BigInteger, nullable=False, server_default="0"),
    comment="what the image list shows: follows from the other tables, and is written with them",
)

records = Table(
    "records",
    metadata,
    Column("key", _DigestText, primary_key=True),
    Column("diff_id", _DigestText, nullable=True, index=True),
    Column("created_ns", _BigNumber, nullable=False),
    Column("leaves", _Json, nullable=False),
    Column("parent", _DigestText, nullable=True),
    Column("content", _DigestText, nullable=True),
    Index("records_adoptable", "content", "parent"),
)

containers = Table(
    "containers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("image", _DigestText, nullable=False, index=True),
    Column("command", _Json, nullable=False),
    Column("created_ns", _BigNumber, nullable=False),
    Column("exit_code", Integer, nullable=False),
    Column("finished_ns", _BigNumber, nullable=False, server_default="0"),
    Column("process", _Json, nullable=True, comment="how it was started: env, user, workdir, network, mounts"),
)
