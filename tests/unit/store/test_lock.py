from pathlib import Path

import pytest

from imagewright.errors import SystemFailure
from imagewright.store.lock import RootLock


def test_one_at_a_time(tmp_path: Path) -> None:
    path = f"{tmp_path}/lock"
    lock = RootLock(path)
    with pytest.raises(SystemFailure, match="in use by another imagewright process"):
        RootLock(path)
    lock.close()
    lock.close()
    RootLock(path).close()
