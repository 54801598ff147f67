"""imagewright with an eye on it: `sampled.py OUTPUT ARGUMENT...` is `imagewright ARGUMENT...`.

While the file OUTPUT.on exists, a thread looks at what all the others do; when it is gone, what was seen is written to
OUTPUT as JSON and forgotten. Time is told by the innermost line of imagewright's own code, so that what the standard
library and system calls take is with whoever called them. For each line: the seconds that threads were in it, and
their processor time of those. Threads that only wait for something to do are left out.
"""

import contextlib
import json
import linecache
import os
import sys
import threading
import time
from collections import defaultdict
from types import FrameType

_SECONDS = 0.002
_IDLE = frozenset({"_worker", "select", "accept", "_wait_for_tstate_lock", "readinto", "recv_into"})
_WAITING = "wait"


def main() -> None:
    """Run the program with the sampler beside it."""
    output, sys.argv = sys.argv[1], ["imagewright", *sys.argv[2:]]
    threading.Thread(target=_watch, args=(output,), daemon=True).start()
    from imagewright.cli.main import main as run  # noqa: PLC0415 - the sampler is there first

    run()


def _watch(output: str) -> None:
    switch = f"{output}.on"
    while True:
        while not os.path.exists(switch):
            time.sleep(0.05)
        seen = _sample(switch)
        with open(f"{output}.new", "w", encoding="utf-8") as file:
            json.dump(seen, file)
        os.replace(f"{output}.new", output)


def _sample(switch: str) -> list[dict[str, object]]:
    totals: dict[tuple[str, str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    clocks: dict[int, float] = {}
    own, before, number = threading.get_ident(), time.perf_counter(), 0
    while True:
        number += 1
        if number % 50 == 0 and not os.path.exists(switch):
            break
        time.sleep(_SECONDS)
        now = time.perf_counter()
        passed, before = now - before, now
        for thread, frame in sys._current_frames().items():  # noqa: SLF001 - there is no other way to them
            if thread == own:
                continue
            used = _processor_time(thread)
            spent, clocks[thread] = used - clocks.get(thread, used), used
            place = _place(frame)
            if place and (spent > 0 or not _idle(frame)):
                totals[place][0] += passed
                totals[place][1] += spent
    return [
        {"file": file, "function": function, "line": line, "text": linecache.getline(file, line).strip(),
         "wall": wall, "cpu": cpu}
        for (file, function, line), (wall, cpu) in sorted(totals.items(), key=lambda item: -item[1][0])
    ]  # fmt: skip


def _place(frame: FrameType | None) -> tuple[str, str, int] | None:
    while frame:
        if "/imagewright/" in frame.f_code.co_filename:
            return frame.f_code.co_filename, frame.f_code.co_qualname, frame.f_lineno or 0
        frame = frame.f_back
    return None


def _idle(frame: FrameType) -> bool:
    return frame.f_code.co_name in _IDLE or frame.f_code.co_name == _WAITING


def _processor_time(thread: int) -> float:
    known = threading._active.get(thread)  # noqa: SLF001 - `enumerate` would ask for a lock
    if known is None or known.native_id is None:
        return 0.0
    # Linux makes the clock of a thread from its id, and says so if there is no such thread any more.
    with contextlib.suppress(OSError):
        return time.clock_gettime((~known.native_id << 3) | 6)
    return 0.0


if __name__ == "__main__":
    main()
