"""System calls, where they have something of their own to them."""

import os
import subprocess
import sys
from pathlib import Path

from imagewright.sandbox.kernel import open_in_root

_RENAMING = """
import os
open("here", "w").close()
print(flush=True)
while True:
    os.rename("here", "there")
    os.rename("there", "here")
"""


def test_a_name_is_found_while_others_are_renamed(tmp_path: Path) -> None:
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/file").touch()
    (tmp_path / "root/a/b/link").symlink_to("../../file")
    root = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    with subprocess.Popen([sys.executable, "-S", "-c", _RENAMING], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            for _ in range(10_000):
                os.close(open_in_root(root, "a/b/link"))
        finally:
            process.kill()
            os.close(root)
