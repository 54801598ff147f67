"""Named contexts: what a build has instead of stages and images of these names.

https://docs.docker.com/reference/cli/docker/buildx/build/#build-context
"""

import os
import tempfile
from collections.abc import Collection, Mapping

from msgspec.structs import replace

from imagewright.archive import is_archive, open_content
from imagewright.build.bases import FindBase
from imagewright.build.context import ContextLimits, read_archive
from imagewright.build.downloading import Downloads
from imagewright.build.request import BuildRequest
from imagewright.build.state import start
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, ImagewrightError, InvalidInput
from imagewright.events import Reporter
from imagewright.filesystem import EMPTY, Directory, Tree, diff
from imagewright.oci import Digest, Platform, RootfsConfig, encode_config
from imagewright.plan import Base, Remote
from imagewright.reference import Reference
from imagewright.remote import is_repository, parse_repository, parse_url
from imagewright.store import Store

__all__ = ["NamedContexts", "parse_contexts"]

_IMAGE = "docker-image://"
_WEB = ("http://", "https://")
_LATEST = ":latest"
_SCRATCH = "scratch"
_SHOWN = 200


def parse_contexts(contexts: Mapping[str, str]) -> Mapping[str, Remote | str]:
    """Return what `contexts` stand for by their normal names: what is elsewhere, or an image's name.

    A value is the name of an image, with or without `docker-image://`, `scratch` for no files at all, the URL of a tar,
    or the address of a git repository. Raises `InvalidInput`, which names `contexts`, for all else.
    """
    parsed: dict[str, Remote | str] = {}
    for name, value in contexts.items():
        normal = _normal(name)
        if normal is None:
            raise InvalidInput(f"contexts: invalid context name {name[:_SHOWN]!r}")
        if normal in parsed:
            raise InvalidInput(f"contexts: {normal[:_SHOWN]} is there in two spellings")
        try:
            parsed[normal] = _parse_value(value)
        except InvalidInput as error:
            raise InvalidInput(f"contexts: {name[:_SHOWN]}: {error}") from error
    return parsed


def _parse_value(value: str) -> Remote | str:
    if is_repository(value):
        parse_repository(value)
        return Remote(value)
    if value.startswith(_WEB):
        parse_url(value)
        return Remote(value)
    image = value.removeprefix(_IMAGE)
    scheme, separator, _ = image.partition("://")
    if separator:
        raise InvalidInput(f"a context of the kind {scheme[:50]}:// is not known")
    if image.startswith((".", "/", "~")):
        raise InvalidInput("a directory is no context: it must be the name of an image, or a URL")
    Reference.parse(image)
    return image


def _normal(name: str) -> str | None:
    """Return the one text that all ways to write `name` have, None for what is no name."""
    for text in (name, name.lower()):  # stages have no case
        try:
            return Reference.parse(text).familiar.removesuffix(_LATEST)
        except InvalidInput:
            pass
    return None


class NamedContexts:
    """A `FindBase` that knows the named contexts of one build, and asks another for all else.

    A context that is no image has its files in one layer, below a configuration that says nothing; it is brought here
    when it is asked for first. `platform` is what the build is for, `directory` is empty and the build's own.
    """

    def __init__(
        self,
        contexts: Mapping[str, str],
        find: FindBase,
        *,
        store: Store,
        downloads: Downloads,
        directory: str,
        platform: Platform,
        limits: ContextLimits,
    ) -> None:
        self._contexts = parse_contexts(contexts)
        self._find = find
        self._store = store
        self._downloads = downloads
        self._directory = directory
        self._platform = platform
        self._limits = limits
        self._layers: dict[str, tuple[Digest, ...]] = {
            name: () for name, context in self._contexts.items() if context == _SCRATCH
        }

    @property
    def names(self) -> Collection[str]:
        """The normal names of the contexts."""
        return self._contexts.keys()

    def __call__(
        self, name: str, platform: Platform | None, request: BuildRequest, report: Reporter, cancellation: Cancellation
    ) -> Base:
        """Return the image or the context `name`; raises what the other one raises, and what fetching raises."""
        normal = _normal(name) or ""
        context = self._contexts.get(normal)
        if normal not in self._layers:
            if not isinstance(context, Remote):
                return self._find(context or name, platform, request, report, cancellation)
            try:
                tree = self._fetch(context, report, cancellation)
            except Cancelled:
                raise
            except ImagewrightError as error:
                raise type(error)(f"the context {normal}: {error}") from error
            layer = diff(EMPTY, tree)
            added = self._store.add_layer(layer, cancellation=cancellation) if layer.changes else None
            self._layers[normal] = () if added is None else (added,)
        rootfs = RootfsConfig(diff_ids=tuple(map(str, self._layers[normal])))
        config = replace(start(platform or self._platform).config, rootfs=rootfs)
        return Base(Digest.of(encode_config(config)), config, stored=False)

    def _fetch(self, context: Remote, report: Reporter, cancellation: Cancellation) -> Tree:
        fetched = self._downloads.fetch(context, report, cancellation)
        if isinstance(fetched, Directory):
            return fetched
        directory = tempfile.mkdtemp(dir=self._directory)
        with open_content(fetched.file.content) as file:
            if not is_archive(file):
                raise InvalidInput("what is there is no archive")
            file.seek(0, os.SEEK_SET)
            return read_archive(file, directory, self._limits)
