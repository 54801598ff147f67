"""A small engine in memory, which understands just enough of a Dockerfile to make every kind of event."""

import io
import itertools
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from imagewright.archive import Compression, Readable, Writable
from imagewright.cancellation import Cancellation
from imagewright.checks import Finding, check
from imagewright.dockerfile import parse
from imagewright.engine import (
    BuildRequest,
    CacheDirectory,
    CachePruning,
    Container,
    DiskUsage,
    Distribution,
    EngineInfo,
    Happening,
    HistoryItem,
    ImageQuery,
    ImageSummary,
    LogLine,
    Pruned,
    Removal,
    StoredImage,
)
from imagewright.errors import Conflict, DockerfileError, InvalidInput, NotFound, RunFailed
from imagewright.events import (
    BuildWarning,
    Built,
    CacheHit,
    ContainerRemoved,
    ContainerStarted,
    Output,
    Reporter,
    StageFinished,
    Status,
    StepFinished,
    StepStarted,
    Tagged,
    TriggersStarted,
    ignore,
)
from imagewright.oci import Digest, History, ImageConfig, Platform, RootfsConfig, RunConfig, encode_config
from imagewright.reference import Reference
from imagewright.registry import Credential, Keychain, LoginResult, SearchResult, no_credentials

__all__ = ["CREATED_NS", "FakeEngine", "digest"]

CREATED_NS = 1_700_000_000_123_456_789


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def read_all(stream: Readable) -> bytes:
    pieces = []
    while piece := stream.read(65536):
        pieces.append(piece)
    return b"".join(pieces)


class FakeEngine:
    """Every `RUN` line is one of: `echo TEXT`, `warn TEXT` (to stderr), `exit N`, `wait` (until cancelled), `flood N`.

    `before` is called at the start of each method, to fail or to wait there. `happenings` are what `watch` remembers;
    `tell` adds one. Only the queries that tests need are understood.
    """

    def __init__(self) -> None:
        self.images: dict[Digest, StoredImage] = {}
        self.caches: list[CacheDirectory] = []
        self.stopped: list[Container] = []
        self.printed: list[LogLine] = []
        self.requests: list[BuildRequest] = []
        self.queries: list[ImageQuery] = []
        self.contexts: list[bytes] = []
        self.calls: list[tuple[object, ...]] = []
        self.before: Callable[[str], None] = lambda _name: None
        self.waiting = threading.Event()
        self.cancelled = threading.Event()
        self.ended = threading.Event()
        self.cancelling = ""  # the method that is cancelled while it works
        self.flooded = 0
        self.generation = 0
        self.happenings: list[Happening] = []
        self.platforms: list[Platform | None] = []
        self.watching = threading.Event()
        self._told = threading.Condition()
        self._numbers = itertools.count()

    def add(self, *names: str, config: ImageConfig | None = None, parent: Digest | None = None) -> Digest:
        config = config or ImageConfig(
            architecture="amd64",
            os="linux",
            created="2023-11-14T22:13:20.123456789Z",
            config=RunConfig(env=("A=1",), cmd=("sh",), labels={"n": str(next(self._numbers))}),
            rootfs=RootfsConfig(diff_ids=(str(digest("layer")),)),
            history=(History(created_by="/bin/sh -c #(nop)  ENV A=1"),),
        )
        data = encode_config(config)
        image = Digest.of(data)
        self.images[image] = StoredImage(
            id=image,
            config_bytes=data,
            config=config,
            parent=parent,
            created_ns=CREATED_NS,
            size=1234,
            tags=tuple(Reference.parse(name).with_default_tag() for name in names),
            digests=(),
            tagged_ns=CREATED_NS if names else 0,
            last_used_ns=0,
        )
        self.generation += 1
        return image

    def tell(self, happening: Happening) -> None:
        with self._told:
            self.happenings.append(happening)
            self._told.notify_all()

    def _find(self, name: str) -> StoredImage:
        for image in self.images.values():
            if name in {str(image.id), image.id.encoded, image.id.short}:
                return image
        wanted = Reference.parse(name).with_default_tag()
        for image in self.images.values():
            if wanted in image.tags:
                return image
        raise NotFound(f"No such image: {wanted.familiar}")

    def list(self, query: ImageQuery = ImageQuery()) -> list[ImageSummary]:  # noqa: B008 - a value
        self.before("list")
        self.queries.append(query)
        return [*self._summaries()]

    def _summaries(self) -> Sequence[ImageSummary]:
        return [
            ImageSummary(
                id=image.id,
                parent=image.parent,
                created_ns=image.created_ns,
                size=image.size,
                tags=tuple(tag.familiar for tag in image.tags),
                digests=tuple(one.familiar for one in image.digests),
                labels=image.config.run.labels,
                containers=sum(one.image == image.id for one in self.stopped),
                shared_size=234,
                unique_size=1000,
                last_used_ns=0,
            )
            for image in self.images.values()
        ]

    def inspect(self, name: str) -> StoredImage:
        self.before("inspect")
        return self._find(name)

    def history(self, name: str) -> Sequence[HistoryItem]:
        image = self._find(name)
        tags = tuple(tag.familiar for tag in image.tags)
        return [
            HistoryItem(
                id=image.id, created_ns=CREATED_NS, created_by="/bin/sh -c echo hi", comment="", size=10, tags=tags
            ),
            HistoryItem(id=None, created_ns=CREATED_NS, created_by="base", comment="c", size=0, tags=()),
        ]

    def tag(self, name: str, reference: Reference) -> None:
        image = self._find(name)
        self.calls.append(("tag", name, reference))
        self.generation += 1
        self.images[image.id] = _with_tags(image, (*image.tags, reference))

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> Sequence[Removal]:
        image = self._find(name)
        self.calls.append(("remove", name, force, prune))
        self.generation += 1
        if len(image.tags) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {image.id.short} (must be forced) - "
                "image is referenced in multiple repositories"
            )
        del self.images[image.id]
        return [*(Removal(untagged=tag.familiar) for tag in image.tags), Removal(deleted=image.id)]

    def pull(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        all_tags: bool = False,
        keychain: Keychain = no_credentials,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> Digest:
        self.calls.append(("pull", reference, platform, all_tags, keychain(reference.registry)))
        self.before("pull")
        self._cancel("pull", cancellation)
        report(Status("Pulling from x", subject="1"))
        return Digest.of(b"pulled")

    def push(
        self,
        reference: Reference,
        *,
        all_tags: bool = False,
        compression: Compression | None = None,
        keychain: Keychain = no_credentials,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.calls.append(("push", reference, all_tags, compression, keychain(reference.registry)))
        self.before("push")
        self._cancel("push", cancellation)
        report(Status("", extra={"progressDetail": {}, "aux": {"Tag": reference.tag}}))

    def _cancel(self, method: str, cancellation: Cancellation | None) -> None:
        if cancellation is not None and self.cancelling == method:
            cancellation.cancel()
            cancellation.check()

    def login(self, registry: str, credential: Credential) -> LoginResult:
        self.calls.append(("login", registry, credential))
        self.before("login")
        return LoginResult("Login Succeeded")

    def search(
        self,
        term: str,
        *,
        limit: int = 25,
        filters: Mapping[str, Sequence[str]] | None = None,
        keychain: Keychain = no_credentials,  # noqa: ARG002 - the same
    ) -> Sequence[SearchResult]:
        self.calls.append(("search", term, limit, filters))
        return [SearchResult(term, "found", 3, official=True, automated=False)]

    def distribution(self, reference: Reference, *, keychain: Keychain = no_credentials) -> Distribution:
        self.calls.append(("distribution", reference, keychain(reference.registry)))
        return Distribution("type", Digest.of(b"m"), 7, [Platform("linux", "arm", "v7")])

    def import_(
        self,
        stream: Readable,
        *,
        reference: Reference | None = None,
        changes: Sequence[str] = (),
        message: str = "",
        platform: Platform | None = None,
        cancellation: Cancellation | None = None,
    ) -> Digest:
        data = read_all(stream)
        self.calls.append(("import", data, reference, tuple(changes), message, platform))
        if data.startswith(b"garbage"):
            raise InvalidInput("Error processing tar file(exit status 1): archive/tar: invalid tar header")
        _check(cancellation)
        return self.add(*([reference.familiar] if reference else []))

    def load(
        self,
        stream: Readable,
        *,
        platform: Platform | None = None,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> Sequence[Reference | Digest]:
        self.platforms.append(platform)
        data = read_all(stream)
        if data.startswith(b"garbage"):
            raise InvalidInput("Error processing tar file(exit status 1): archive/tar: invalid tar header")
        _check(cancellation)
        report(Status("Loading layer", subject="abc", current=1, total=2))
        if data.startswith(b"again"):
            report(BuildWarning("The image loaded:1 already exists"))
        image = self.add("loaded:1")
        return [self.images[image].tags[0], image]

    def save(self, names: Sequence[str], out: Writable, *, cancellation: Cancellation | None = None) -> None:
        self.calls.append(("save", tuple(names)))
        images = []
        for name in names:
            try:
                images.append(self._find(name))
            except NotFound:
                raise NotFound(f"No such image: {name}") from None
        for image in images:
            out.write(b"head:")
            out.write(image.config_bytes)
        self.before("save")
        for _ in range(self.flooded):
            _check(cancellation)
            out.write(b"x" * 65536)

    def containers(self) -> Sequence[Container]:
        return list(self.stopped)

    def container(self, name: str) -> Container:
        for one in self.stopped:
            if one.id.startswith(name) or one.name == name.removeprefix("/"):
                return one
        raise NotFound(f"No such container: {name}")

    def logs(self, name: str, *, tail: int | None = None) -> Iterator[LogLine]:
        self.container(name)
        lines = self.printed if tail is None else self.printed[max(0, len(self.printed) - tail) :]
        return iter(lines)

    def remove_container(self, name: str) -> None:
        self.stopped.remove(self.container(name))

    def commit(
        self,
        container: str,
        *,
        reference: Reference | None = None,
        changes: Sequence[str] = (),
        message: str = "",
        author: str = "",
    ) -> Digest:
        found = self.container(container)
        self.calls.append(("commit", found.id, reference, changes, message, author))
        return self.add(*([reference.familiar] if reference else []))

    def prune(
        self,
        *,
        dangling: bool = True,
        labels: Sequence[str] = (),
        unlabelled: Sequence[str] = (),
        until_ns: int | None = None,
        unused_for_ns: int | None = None,
    ) -> Pruned:
        self.calls.append(("prune", dangling, labels, unlabelled, until_ns, unused_for_ns))
        gone = [image for image in self.images.values() if not (image.tags and dangling)]
        removals: list[Removal] = []
        for image in gone:
            del self.images[image.id]
            removals += [*(Removal(untagged=tag.familiar) for tag in image.tags), Removal(deleted=image.id)]
        return Pruned(removals=tuple(removals), space_reclaimed=1234 * len(gone))

    def disk_usage(self) -> DiskUsage:
        return DiskUsage(
            layers_size=5678,
            images=tuple(self._summaries()),
            containers=tuple(self.stopped),
            caches=tuple(self.caches),
        )

    def prune_caches(self, pruning: CachePruning | None = None) -> Sequence[CacheDirectory]:
        removed = (pruning or CachePruning()).select(self.caches, now_ns=10**18, free=0)
        self.caches = [cache for cache in self.caches if cache not in removed]
        return removed

    def watch(
        self, *, since_ns: int | None = None, until_ns: int | None = None, cancellation: Cancellation
    ) -> Iterator[Happening]:
        self.before("watch")
        at = 0 if since_ns is not None else len(self.happenings)
        self.watching.set()
        return self._watch(at, since_ns or 0, until_ns, cancellation)

    def _watch(self, at: int, since_ns: int, until_ns: int | None, cancellation: Cancellation) -> Iterator[Happening]:
        def wake() -> None:
            with self._told:
                self._told.notify_all()

        forget = cancellation.on_cancel(wake)
        try:
            while not cancellation.cancelled:
                with self._told:
                    fresh, at = self.happenings[at:], len(self.happenings)
                yield from (one for one in fresh if since_ns <= one.time_ns <= (until_ns or one.time_ns))
                with self._told:
                    left = None if until_ns is None else (until_ns - time.time_ns()) / 1e9
                    if left is not None and left <= 0:
                        return
                    if len(self.happenings) == at and not cancellation.cancelled:
                        self._told.wait(left)
        finally:
            forget()
            self.ended.set()

    def info(self) -> EngineInfo:
        self.before("info")
        return EngineInfo(
            id="ID",
            containers=len(self.stopped),
            images=len(self.images),
            data_root="/var/lib/imagewright",
            driver="overlay2",
            runtime="runc",
            architecture="amd64",
            kernel="6.1.0",
            operating_system="Debian GNU/Linux 12 (bookworm)",
            cpus=2,
            memory=1 << 30,
        )

    def check(
        self,
        context: Readable,
        request: BuildRequest = BuildRequest(),  # noqa: B008 - a value
        *,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> tuple[Finding, ...]:
        del cancellation
        self.before("check")
        self.requests.append(request)
        data = "\n".join(_dockerfile(read_all(context), request.dockerfile)).encode()
        findings = check(parse(data), data, platform=Platform("linux", "amd64"))
        for finding in findings:
            report(BuildWarning(f"[WARNING]: {finding.rule.name}"))
        return findings

    def build(
        self,
        context: Readable,
        request: BuildRequest = BuildRequest(),  # noqa: B008 - a value
        *,
        files: Writable | None = None,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> Digest:
        token = cancellation or Cancellation()
        self.before("build")
        self.requests.append(request)
        try:
            data = read_all(context)
            self.contexts.append(data)
            lines = _dockerfile(data, request.dockerfile)
            forget = token.on_cancel(self.cancelled.set)
            try:
                image = self._carry_out(lines, request, report, token)
                if files is not None:
                    files.write(b"the files")
                return image
            finally:
                forget()
        finally:
            self.ended.set()

    def _carry_out(
        self, lines: Sequence[str], request: BuildRequest, report: Reporter, cancellation: Cancellation
    ) -> Digest:
        for number, text in enumerate(lines, 1):
            cancellation.check()
            report(StepStarted(number, len(lines), text))
            keyword, _, rest = text.partition(" ")
            container = digest(f"{text} {number}").encoded
            if keyword == "RUN":
                report(ContainerStarted(container))
                self._run(rest, container, report, cancellation)
                if request.remove:
                    report(ContainerRemoved(container))
            elif keyword == "ENV":
                report(CacheHit())
            elif keyword == "ONBUILD":
                report(TriggersStarted(int(rest)))
            elif keyword == "WARN":
                report(BuildWarning(rest))
            report(StepFinished(None if text == "FROM scratch" else digest(text)))
        image = self.add(*(tag.familiar for tag in request.tags))
        report(StageFinished(image))
        report(Built(image))
        for tag in request.tags:
            report(Tagged(tag.familiar))
        return image

    def _run(self, command: str, container: str, report: Reporter, cancellation: Cancellation) -> None:
        word, _, rest = command.partition(" ")
        if word == "echo":
            report(Output("stdout", rest.encode("utf-8", "surrogateescape") + b"\n"))
        elif word == "warn":
            report(Output("stderr", rest.encode() + b"\n"))
        elif word == "exit":
            self.stopped.append(
                Container(
                    id=container,
                    image=digest("base"),
                    command=("/bin/sh", "-c", command),
                    created_ns=CREATED_NS,
                    exit_code=int(rest),
                    name="gifted_lehmann",
                    diff_ids=(),
                    size_root=1234,
                )
            )
            message = f"The command '/bin/sh -c {command}' returned a non-zero code: {rest}"
            raise RunFailed(message, exit_code=int(rest))
        elif word == "wait":
            self.waiting.set()
            cancellation.wait(30)
            cancellation.check()
        elif word == "flood":
            for _ in range(int(rest)):
                cancellation.check()
                report(Output("stdout", b"y" * 65536))
                self.flooded += 1


def _check(cancellation: Cancellation | None) -> None:
    if cancellation:
        cancellation.check()


def _dockerfile(data: bytes, name: str) -> list[str]:
    name = name or "Dockerfile"
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            member = archive.extractfile(name)
            text = member.read().decode() if member else ""
    except (tarfile.TarError, KeyError):
        raise InvalidInput(f"Cannot locate specified Dockerfile: {name}") from None
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for number, line in enumerate(lines, 1):
        if line.startswith("FOO"):
            raise DockerfileError(
                f"dockerfile parse error line {number}: unknown instruction: FOO", line=number, source=line
            )
    return lines


def _with_tags(image: StoredImage, tags: tuple[Reference, ...]) -> StoredImage:
    return StoredImage(
        id=image.id,
        config_bytes=image.config_bytes,
        config=image.config,
        parent=image.parent,
        created_ns=image.created_ns,
        size=image.size,
        tags=tags,
        digests=image.digests,
        tagged_ns=CREATED_NS,
        last_used_ns=0,
    )
