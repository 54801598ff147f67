from pathlib import Path

import pytest

from imagewright.cli.registry_options import RegistryOptions
from imagewright.errors import InvalidInput
from imagewright.registry import Settings


def test_nothing_said() -> None:
    assert RegistryOptions().given == ()
    assert RegistryOptions().settings() == Settings()


def test_all_said(tmp_path: Path) -> None:
    directory = str(tmp_path)
    options = RegistryOptions(mirrors=("http://m", "http://m/"), insecure=("A", "10.1.0.0/8"), certificates=directory)
    assert options.given == ("--registry-mirror", "--insecure-registry", "--certs-dir")
    assert options.settings() == Settings(mirrors=("http://m/",), insecure=("a", "10.0.0.0/8"), certificates=directory)


def test_where_it_was_said_is_told() -> None:
    with pytest.raises(InvalidInput, match=r"^--registry-mirror: invalid mirror"):
        RegistryOptions(mirrors=("x",)).settings()
    with pytest.raises(InvalidInput, match=r"^file: insecure registry"):
        RegistryOptions(insecure=("a/b",), insecure_source="file").settings()
    with pytest.raises(InvalidInput, match=r"^--certs-dir: /nonexistent is not a directory$"):
        RegistryOptions(certificates="/nonexistent").settings()
