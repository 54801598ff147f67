"""System calls, where they have something of their own to them."""

import os
import threading
from pathlib import Path

from imagewright.sandbox.kernel import open_in_root


def test_a_name_is_found_while_others_are_renamed(tmp_path: Path) -> None:
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/file").touch()
    (tmp_path / "root/a/b/link").symlink_to("../../file")
    ended = threading.Event()

    def rename() -> None:
        (tmp_path / "here").touch()
        while not ended.is_set():
            os.rename(tmp_path / "here", tmp_path / "there")
            os.rename(tmp_path / "there", tmp_path / "here")

    thread = threading.Thread(target=rename)
    thread.start()
    root = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    try:
        for _ in range(2000):
            os.close(open_in_root(root, "a/b/link"))
    finally:
        ended.set()
        thread.join()
        os.close(root)
