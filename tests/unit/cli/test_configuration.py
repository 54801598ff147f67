import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from imagewright.cli.configuration import read_configuration
from imagewright.cli.main import program
from imagewright.errors import InvalidInput


def read(directory: Path, document: object, **flags: Any) -> dict[str, Any]:
    path = directory / "daemon.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_configuration(str(path), {name.replace("_", "-"): value for name, value in flags.items()})


def test_all_keys(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {
            "registry-mirrors": ["http://m"],
            "insecure-registries": ["a", "b"],
            "hosts": ["unix:///x"],
            "data-root": "/d",
        },
    )
    assert found == {
        "registry-mirrors": ("http://m",),
        "insecure-registries": ("a", "b"),
        "hosts": ("unix:///x",),
        "data-root": "/d",
    }


def test_what_is_not_there_is_absent(tmp_path: Path) -> None:
    assert read(tmp_path, {}, hosts=("unix:///x",), data_root="/d") == {}
    assert read(tmp_path, {"data-root": "/d"}, hosts=("unix:///x",), data_root=None) == {"data-root": "/d"}


@pytest.mark.parametrize(
    ("document", "flags", "message"),
    [
        ({"b": 1, "a": 2}, {}, "the following directives don't match any configuration option: a, b"),
        ({"hosts": "unix:///x"}, {}, "hosts must be a list of texts"),
        ({"hosts": [1]}, {}, "hosts must be a list of texts"),
        ({"data-root": 5}, {}, "data-root must be a text"),
        ([], {}, "it is no JSON object"),
        ("{", {}, "it is not JSON"),
        ("", {}, "it is not JSON"),
        (
            {"registry-mirrors": ["http://a"]},
            {"registry_mirrors": ("http://b/",)},
            (
                "the following directives are specified both as a flag and in the configuration file: "
                "registry-mirrors: (from flag: [http://b/], from file: [http://a])"
            ),
        ),
        (
            {"data-root": "/x"},
            {"data_root": "/y"},
            (
                "the following directives are specified both as a flag and in the configuration file: data-root: "
                "(from flag: /y, from file: /x)"
            ),
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, document: object, flags: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, document, **flags)
    assert str(caught.value).startswith(f"--config-file {tmp_path}/daemon.json: {message}")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(InvalidInput, match=r"^--config-file /nonexistent/x: No such file or directory$"):
        read_configuration("/nonexistent/x", {})


def refused(tmp_path: Path, document: object, *arguments: str) -> str:
    """Return what `serve` says to the file, with which it must not start."""
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(document))
    result = CliRunner().invoke(program, ["serve", "--config-file", str(path), *arguments])
    assert result.exit_code == 1
    assert not (tmp_path / "root").exists()
    return result.stderr


def test_serve_reads_the_file(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    assert "invalid host 'tcp://x'" in refused(tmp_path, {"hosts": ["tcp://x"], "data-root": root})
    text = refused(tmp_path, {"registry-mirrors": ["x"], "data-root": root})
    assert text == 'error: --config-file: registry-mirrors: invalid mirror: unsupported scheme "" in "x"\n'
    text = refused(tmp_path, {"insecure-registries": ["a/b"]}, "--data-root", root)
    assert text.startswith("error: --config-file: insecure-registries: insecure registry a/b is not valid")
    assert "specified both as a flag" in refused(tmp_path, {"data-root": root}, "--data-root", root)
    assert "specified both as a flag" in refused(tmp_path, {"hosts": []}, "-H", "unix:///x")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--registry-mirror", "http://x/y", "invalid mirror: path, query, or fragment"),
        ("--insecure-registry", "-", "invalid index name"),
    ],
)
def test_serve_names_the_option(tmp_path: Path, option: str, value: str, message: str) -> None:
    root = tmp_path / "root"
    result = CliRunner().invoke(program, ["serve", "--data-root", str(root), option, value])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {option}: {message}")
    assert not root.exists()
