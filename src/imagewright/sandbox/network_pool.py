"""Network namespaces that are ready before anybody asks for them."""

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from imagewright.errors import SystemFailure
from imagewright.sandbox.container import StopSignal
from imagewright.sandbox.network import SlirpNetwork

__all__ = ["NetworkPool"]

_MOST_READY = 4
# How long networks are kept ready that nobody takes: an idle engine is to have no helpers running.
_IDLE_SECONDS = 20.0


class NetworkPool:
    """Gives each container a network of its own, and makes the next ones ahead; thread-safe.

    The first one is made when it is asked for, and so is every one that is asked for while none is ready. After that,
    a thread keeps `size` of them ready (by default as many as there are processors, and not many), until for
    `idle_seconds` nobody has taken one: then they and the thread end. A network is given away once, whatever comes of
    it, so that no container finds anything of another in it. `environment` is that of the helpers.
    """

    def __init__(
        self, environment: dict[str, str], *, size: int | None = None, idle_seconds: float = _IDLE_SECONDS
    ) -> None:
        self._environment = environment
        self._size = min(os.cpu_count() or 1, _MOST_READY) if size is None else size
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._ready: list[SlirpNetwork] = []
        self._ending: list[SlirpNetwork] = []
        self._taken = 0
        self._filling: threading.Thread | None = None
        self._stop: StopSignal | None = None

    @contextmanager
    def take(self) -> Iterator[SlirpNetwork]:
        """Yield a network that nobody else has or had, and end it with the context.

        It need not be ready: `wait_ready` returns at once if it is. Raises `SystemFailure` if none can be made.
        """
        network = self._find_ready() or SlirpNetwork(self._environment)
        try:
            self._fill()
            yield network
        finally:
            self._end(network)

    @property
    def ready(self) -> int:
        """How many networks are ready for whoever comes."""
        with self._changed:
            return len(self._ready)

    def _find_ready(self) -> SlirpNetwork | None:
        while True:
            with self._changed:
                self._taken += 1
                if not self._ready:
                    return None
                network = self._ready.pop(0)
            if network.usable():
                return network
            # Somebody has killed its helper.
            self._end(network)

    def _end(self, network: SlirpNetwork) -> None:
        network.close()
        with self._changed:
            self._ending = [*(ending for ending in self._ending if ending.alive()), network]

    def _fill(self) -> None:
        """Have the thread make what is missing."""
        with self._changed:
            self._changed.notify_all()
            if self._filling is None and self._size:
                self._stop = StopSignal()
                self._filling = threading.Thread(
                    target=self._keep_filled, args=(self._stop,), name="imagewright-networks", daemon=True
                )
                self._filling.start()

    def _keep_filled(self, stop: StopSignal) -> None:
        try:
            # Whoever asks for one, and finds none, learns why none can be made.
            with contextlib.suppress(SystemFailure):
                while self._is_missing(stop):
                    self._add(stop)
        finally:
            with self._changed:
                self._filling, self._stop = None, None
                unused, self._ready = self._ready, []
            stop.close()
            for network in unused:
                self._end(network)

    def _is_missing(self, stop: StopSignal) -> bool:
        """Wait until there are not enough networks; return False when there need not be any."""
        with self._changed:
            while len(self._ready) >= self._size and not stop.stopped:
                taken = self._taken
                if not self._changed.wait(self._idle_seconds) and taken == self._taken:
                    return False
            return not stop.stopped

    def _add(self, stop: StopSignal) -> None:
        network = SlirpNetwork(self._environment)
        try:
            network.wait_ready(stop.descriptor)
        except BaseException:
            self._end(network)
            raise
        with self._changed:
            if not stop.stopped:
                self._ready.append(network)
                return
        self._end(network)

    def close(self) -> None:
        """End what is ready, and wait for every helper that is ending; no network may be taken. Idempotent."""
        with self._changed:
            filling = self._filling
            if self._stop is not None:
                self._stop.set()
            self._changed.notify_all()
        if filling is not None:
            filling.join()
        with self._changed:
            ending, self._ending = self._ending, []
        for network in ending:
            network.join()
