"""One build, from request to image."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, cast

from imagewright.archive import Readable
from imagewright.build.checking import check_build
from imagewright.build.context import read_context
from imagewright.build.request import BuildRequest
from imagewright.build.running import Runner
from imagewright.build.state import State
from imagewright.build.steps import Settings, Steps
from imagewright.cancellation import Cancellation
from imagewright.checks import Finding
from imagewright.dockerfile import parse
from imagewright.errors import DockerfileError, InvalidInput, NotFound
from imagewright.events import BuildWarning, Built, Event, Reporter, Status, StepStarted, Tagged
from imagewright.oci import Digest, Platform, RunConfig
from imagewright.plan import Base, Image, Plan
from imagewright.plan import compile as compile_plan
from imagewright.solve import Transcript, solve
from imagewright.store import Store

__all__ = ["Builder"]

# Events of steps that wait for their turn are kept in memory up to this many bytes a step, then in a file.
_HELD_BACK = 1 << 20


FindBase = Callable[[str, Platform, BuildRequest, Reporter, Cancellation], Base]
"""Returns the image of a name, and reports how it comes here, if it has to."""


class Builder:
    """Builds images into `store`; `find` finds the images that a Dockerfile begins with or copies from."""

    def __init__(
        self,
        *,
        store: Store,
        runner: Runner,
        find: FindBase,
        platform: Platform,
        clock: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._runner = runner
        self._find = find
        self._platform = platform
        self._clock = clock
        self._new_id = new_id

    def build(self, stream: Readable, request: BuildRequest, *, report: Reporter, cancellation: Cancellation) -> Digest:
        """Build the context `stream` and return the image's id; it has its tags then, all at once.

        All of `stream` is read before anything is reported. Nothing temporary is left, whatever happens; what the
        steps made until an error stays in the cache. Raises an `ImagewrightError`.
        """
        with self._store.scratch() as directory, self._store.lease() as lease:
            context = read_context(stream, directory, request.dockerfile)
            cancellation.check()
            platform = request.platform or self._platform
            dockerfile = parse(context.dockerfile, name=context.name)
            bases: dict[str, RunConfig] = {}
            arrivals: dict[Digest, list[Event]] = {}

            def resolve(name: str, wanted: Platform) -> Base:
                base = self._resolve(name, wanted, request, arrivals, cancellation)
                bases[name] = base.config.run
                return base

            plan = compile_plan(
                dockerfile,
                target=request.target,
                build_args=request.build_args,
                labels=request.labels,
                platform=platform,
                build_platform=self._platform,
                resolve=resolve,
            )
            check_build(
                dockerfile,
                context,
                request,
                platform=platform,
                build_platform=self._platform,
                find_base=bases.get,
                report=report,
            )
            for node in plan.nodes:
                if isinstance(node.op, Image):
                    for diff_id in node.op.base.config.diff_ids:
                        lease.keep(diff_id)
            _preface(plan, report)
            transcript = Transcript[Event](report, open_file=lambda: _open_held_back(directory))
            steps = Steps(
                store=self._store,
                runner=self._runner,
                context=context.tree,
                settings=Settings(
                    directory=tempfile.mkdtemp(dir=directory),
                    platform=platform,
                    network=request.network_mode,
                    no_cache=request.no_cache,
                    remove=request.remove,
                    force_remove=request.force_remove,
                ),
                transcript=transcript,
                arrivals=arrivals,
                clock=self._clock,
                new_id=self._new_id,
            )
            try:
                states = solve(plan.nodes, steps, workers=os.cpu_count() or 1, cancellation=cancellation)
            finally:
                transcript.close()
            cancellation.check()
            return self._conclude(plan, states[plan.target], request, report)

    def check(
        self, stream: Readable, request: BuildRequest, *, report: Reporter, cancellation: Cancellation
    ) -> tuple[Finding, ...]:
        """Return what the build checks find in the context `stream`, and tell it; nothing is run and nothing pulled.

        Of base images those in the store are known. Raises what `build` does for a context and a Dockerfile.
        """
        with self._store.scratch() as directory:
            context = read_context(stream, directory, request.dockerfile)
            cancellation.check()
            return check_build(
                parse(context.dockerfile, name=context.name),
                context,
                replace(request, check=True),
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

    def _resolve(
        self,
        name: str,
        platform: Platform,
        request: BuildRequest,
        arrivals: dict[Digest, list[Event]],
        cancellation: Cancellation,
    ) -> Base:
        """Return the image `name`; what is to be told of its arrival waits in `arrivals` for the step that wants it."""
        told: list[Event] = []

        def hold(event: Event) -> None:
            # The number of steps is not known yet, and so none can be told; how far a download was is past then.
            if not (isinstance(event, Status) and event.message == "Downloading"):
                told.append(event)

        base = self._find(name, platform, request, hold, cancellation)
        arrivals.setdefault(base.image_id, []).extend(told)
        return base

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


def _preface(plan: Plan, report: Reporter) -> None:
    """Tell what stands before the first FROM."""
    for warning in plan.warnings:
        report(BuildWarning(warning))
    for step in plan.preamble:
        report(StepStarted(step.number, step.total, step.text))


def _open_held_back(directory: str) -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(_HELD_BACK, dir=directory))
