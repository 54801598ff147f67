"""The images that a build begins with or copies from."""

from collections.abc import Callable, Iterator, Sequence

from imagewright.build.request import BuildRequest
from imagewright.cancellation import Cancellation
from imagewright.events import Event, Reporter, StepStarted
from imagewright.oci import Platform
from imagewright.plan import Base, Node, Place, Step
from imagewright.solve import Transcript
from imagewright.store import Lease

__all__ = ["Bases", "FindBase"]

FindBase = Callable[[str, Platform | None, BuildRequest, Reporter, Cancellation], Base]
"""Returns the image of a name, for the platform that was asked for if one was, and reports how it comes here."""


class Bases:
    """Finds the images that the Dockerfile of one build names: the `Resolve` that the compiler is given.

    What is told of an image that has to come here stands in `transcript` where its node will be, after the step that
    wants it, which is added to the steps that are `told`. The layers are kept by `lease`.
    """

    def __init__(
        self, find: FindBase, request: BuildRequest, *, transcript: Transcript[Event], lease: Lease, told: set[Step]
    ) -> None:
        self._cancellation = Cancellation()
        self._find = find
        self._request = request
        self._transcript = transcript
        self._lease = lease
        self._told = told

    def advance(self, batches: Iterator[Sequence[Node]]) -> Callable[[Cancellation], Sequence[Node]]:
        """Return what gives the next of `batches`, () at the end; images asked for on the way are found here.

        It raises `Cancelled` soon after the cancellation that it is given is cancelled.
        """

        def more(cancellation: Cancellation) -> Sequence[Node]:
            self._cancellation = cancellation
            return next(batches, ())

        return more

    def __call__(self, name: str, platform: Platform | None, place: Place, /) -> Base:
        """Return the image `name`; what `find` raises is the compiler's to place."""
        report = self._transcript.reporter(place.node)
        if place.step is not None:
            self._told.add(place.step)
            report(StepStarted(place.step.number, place.step.total, place.step.text))
        base = self._find(name, platform or self._request.platform, self._request, report, self._cancellation)
        for diff_id in base.config.diff_ids:
            self._lease.keep(diff_id)
        return base
