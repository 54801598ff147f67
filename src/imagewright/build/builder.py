"""One build, from request to image."""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import BinaryIO, cast

from imagewright.archive import Readable
from imagewright.build.bases import Bases, FindBase
from imagewright.build.checking import check_build
from imagewright.build.context import DEFAULT_LIMITS, Context, ContextLimits, read_context
from imagewright.build.downloading import Downloads
from imagewright.build.flights import Flights
from imagewright.build.imported_cache import ImportedCache
from imagewright.build.known_contexts import KnownContexts
from imagewright.build.mounting import Mounting
from imagewright.build.named_contexts import NamedContexts
from imagewright.build.permission import Permissions
from imagewright.build.remote_context import fetch_context
from imagewright.build.request import BuildRequest, Entitlement
from imagewright.build.running import Runner
from imagewright.build.squashing import squash, start_of
from imagewright.build.state import State
from imagewright.build.steps import Settings, Steps
from imagewright.cancellation import Cancellation
from imagewright.checks import Finding
from imagewright.dockerfile import Dockerfile, parse
from imagewright.errors import Cancelled, DockerfileError, ImagewrightError, InvalidInput, NotFound
from imagewright.events import BuildWarning, Built, Event, Reporter, Squashed, Status, StepStarted, Tagged
from imagewright.filesystem import EMPTY
from imagewright.oci import Digest, ImageConfig, Platform, RunConfig
from imagewright.plan import Compilation, Plan, Step
from imagewright.solve import Transcript, solve
from imagewright.store import Lease, Store

__all__ = ["Builder"]

# Events of steps that wait for their turn are kept in memory up to this many bytes a step, then in a file.
_HELD_BACK = 1 << 20
# More than there are processors: most of what a step does is waiting, for a process or for the disk.
_WORKERS = max(8, 2 * (os.cpu_count() or 1))


class Builder:
    """Builds images into `store`; `find` finds the images that a Dockerfile begins with or copies from."""

    def __init__(
        self,
        *,
        store: Store,
        runner: Runner,
        find: FindBase,
        platform: Platform,
        entitlements: Collection[Entitlement] = (),
        clock: Callable[[], int],
        new_id: Callable[[], str],
        limits: ContextLimits = DEFAULT_LIMITS,
    ) -> None:
        self._store = store
        self._runner = runner
        self._find = find
        self._platform = platform
        self._entitlements = entitlements
        self._clock = clock
        self._new_id = new_id
        self._flights = Flights()
        self._contexts = KnownContexts()
        self._limits = limits

    def build(self, stream: Readable, request: BuildRequest, *, report: Reporter, cancellation: Cancellation) -> Digest:
        """Build the context `stream` and return the image's id; it has its tags then, all at once.

        All of `stream` is read before anything is reported; none of it where `request` says that the context is
        elsewhere. Nothing temporary is left, whatever happens; what the
        steps made until an error stays in the cache. Raises an `ImagewrightError`.
        """
        with self._store.scratch() as directory, self._store.lease() as lease:
            context = _open_context(
                stream, request, directory, report, cancellation, limits=self._limits, known=self._contexts
            )
            cancellation.check()
            downloads = Downloads(tempfile.mkdtemp(dir=directory), limits=self._limits.fetch)
            contexts = NamedContexts(
                request.contexts,
                self._find,
                store=self._store,
                downloads=downloads,
                directory=tempfile.mkdtemp(dir=directory),
                platform=request.platform or self._platform,
                limits=self._limits,
            )
            transcript = Transcript[Event](report, open_file=lambda: _open_held_back(directory))
            told: set[Step] = set()
            bases = Bases(contexts, request, transcript=transcript, lease=lease, told=told)
            dockerfile = parse(context.dockerfile, name=context.name)
            compilation = self._compile(dockerfile, request, bases, contexts.names)
            self._check(dockerfile, context, request, report)
            permissions = Permissions(request, self._entitlements)
            permissions.check_file(compilation.instructions())
            imported = self._import_cache(request, lease, report, cancellation)
            _preface(compilation, report)
            steps = Steps(
                store=self._store,
                runner=self._runner,
                context=context,
                downloads=downloads,
                mounting=Mounting(
                    store=self._store,
                    context=lambda: context.tree or EMPTY,
                    directory=tempfile.mkdtemp(dir=directory),
                    secrets=request.secrets,
                    agents=request.agents,
                ),
                permissions=permissions,
                settings=Settings(
                    directory=tempfile.mkdtemp(dir=directory),
                    platform=request.platform or self._platform,
                    network=request.network_mode,
                    surroundings=request.surroundings,
                    no_cache=request.no_cache,
                    explain=request.explain,
                    remove=request.remove,
                    force_remove=request.force_remove,
                ),
                transcript=transcript,
                told=told,
                flights=self._flights,
                imported=imported,
                clock=self._clock,
                new_id=self._new_id,
            )
            more = bases.advance(compilation.batches())
            try:
                states = solve((), steps, workers=_WORKERS, cancellation=cancellation, more=more)
            finally:
                transcript.close()
            cancellation.check()
            plan, result = compilation.plan(), states[-1]
            if request.squash and result.image is not None:
                image = squash(self._store, states[start_of(plan, plan.target)], result)
                report(Squashed(image))
                result = replace(result, image=image)
            return self._conclude(plan, result, request, report)

    def _compile(
        self, dockerfile: Dockerfile, request: BuildRequest, bases: Bases, contexts: Collection[str]
    ) -> Compilation:
        return Compilation(
            dockerfile,
            target=request.target,
            build_args=request.build_args,
            labels=request.labels,
            platform=request.platform or self._platform,
            build_platform=self._platform,
            resolve=bases,
            contexts=contexts,
        )

    def check(
        self, stream: Readable, request: BuildRequest, *, report: Reporter, cancellation: Cancellation
    ) -> tuple[Finding, ...]:
        """Return what the build checks find in the context `stream`, and tell it; nothing is run and nothing pulled.

        Of base images those in the store are known. Raises what `build` does for a context and a Dockerfile.
        """
        with self._store.scratch() as directory:
            context = _open_context(stream, request, directory, report, cancellation, limits=self._limits)
            cancellation.check()
            dockerfile = parse(context.dockerfile, name=context.name)
            return self._check(dockerfile, context, replace(request, check=True), report)

    def _check(
        self, dockerfile: Dockerfile, context: Context, request: BuildRequest, report: Reporter
    ) -> tuple[Finding, ...]:
        return check_build(
            dockerfile,
            context,
            request,
            platform=request.platform or self._platform,
            build_platform=self._platform,
            find_base=self._look,
            report=report,
        )

    def _look(self, name: str) -> RunConfig | None:
        """Return the configuration of the image `name` if it is here."""
        try:
            return self._store.get_image(self._store.resolve(name)).config.run
        except (InvalidInput, NotFound):
            return None

    def _import_cache(
        self, request: BuildRequest, lease: Lease, report: Reporter, cancellation: Cancellation
    ) -> ImportedCache:
        """Return the cache of the images that `request` names for it; one that cannot be had is told and left out."""
        images: list[ImageConfig] = []
        # An image that is here will do: `pull` is about what the result is made from.
        asked = dataclasses.replace(request, pull=False)
        for name in dict.fromkeys(() if request.no_cache else filter(None, request.cache_from)):
            try:
                config = self._find(name, None, asked, report, cancellation).config
                for diff_id in config.diff_ids:
                    lease.keep(diff_id)
            except Cancelled:
                raise
            except ImagewrightError as error:
                report(Status(f"No steps are taken from {name}: {error}"))
            else:
                images.append(config)
        return ImportedCache(images, network=request.network_mode)

    def _conclude(self, plan: Plan, state: State, request: BuildRequest, report: Reporter) -> Digest:
        if state.image is None:
            raise DockerfileError("No image was generated. Is your Dockerfile empty?")
        if plan.unused_build_args:
            names = " ".join(plan.unused_build_args)
            report(BuildWarning(f"[Warning] One or more build-args [{names}] were not consumed"))
        for reference in request.tags:
            self._store.tag(state.image, reference)
        self._store.flush()
        report(Built(state.image))
        for name in dict.fromkeys(reference.familiar for reference in request.tags):
            report(Tagged(name))
        return state.image


def _open_context(
    stream: Readable,
    request: BuildRequest,
    directory: str,
    report: Reporter,
    cancellation: Cancellation,
    *,
    limits: ContextLimits,
    known: KnownContexts | None = None,
) -> Context:
    if not request.remote:
        # Without the cache the files are needed for certain, and best read while they come.
        recognise = not request.no_cache
        return read_context(stream, directory, request.dockerfile, limits=limits, known=known, recognise=recognise)
    return fetch_context(
        request.remote, directory, request.dockerfile, report=report, cancellation=cancellation, limits=limits
    )


def _preface(compilation: Compilation, report: Reporter) -> None:
    """Tell what stands before the first FROM."""
    for warning in compilation.warnings:
        report(BuildWarning(warning))
    for step in compilation.preamble:
        report(StepStarted(step.number, step.total, step.text))


def _open_held_back(directory: str) -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(_HELD_BACK, dir=directory))
