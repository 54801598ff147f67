"""Running one process on top of layer directories."""

from types import TracebackType

from imagewright.cancellation import Cancellation
from imagewright.sandbox.request import OutputSink, RunRequest

__all__ = ["Sandbox"]


class Sandbox:
    """Runs processes in containers whose leavings are all below `state_root` (absolute, made 0700 if missing).

    Safe to use from many threads; one process per `state_root`. `runtime` is the name or path of an OCI runtime.
    Looks for nothing on construction: a missing runtime is a `SystemFailure` of `run` and a finding of `probe`.
    """

    def __init__(self, state_root: str, *, runtime: str | None = None) -> None:
        self._state_root = state_root
        self._runtime = runtime

    def run(self, request: RunRequest, *, output: OutputSink, cancellation: Cancellation) -> int:
        """Run `request` to its end and return the exit code (128 + n if signal n killed it).

        `output` is called in one thread at a time. When this returns or raises, no process, mount, cgroup or file of
        the container is left but `request.upper`. Raises `Cancelled` when cancelled, what `output` raised (the
        container is killed first), `SystemFailure` with the engine's text if the process cannot be started, and
        `InvalidInput` for a request that is refused.
        """
        raise NotImplementedError

    def recover(self) -> None:
        """Remove what a killed process left below `state_root`: containers, cgroups, helpers, files. Idempotent."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what is held; no `run` may be under way. Idempotent."""

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
