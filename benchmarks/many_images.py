"""Very many images: a data root that has them, and what their list takes."""

import hashlib
import io
import json
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine, insert

from imagewright.oci import Digest
from imagewright.store import Store, schema
from support.builder import archive
from support.daemon import daemon
from support.unixhttp import UnixConnection

__all__ = ["fill", "list_times"]

_ROUNDS = 40
_TEN = "/images/json?filters=" + quote(json.dumps({"label": ["tenth=7"]}))
_SECOND = 1_000_000_000
_FIRST_NS = 1_704_067_200 * _SECOND


def fill(data_root: Path, count: int) -> None:
    """Make a data root with `count` tagged images on one layer, each with a configuration of its own.

    Rows are written as the store would write them, but all in one transaction: through the API, each image is one.
    """
    with Store.open(str(data_root), clock=time.time_ns) as store:
        layer = store.add_layer_stream(io.BytesIO(archive({"file": "data"})))
        size = store.layer_size(layer)
    rows: dict[Any, list[dict[str, Any]]] = {
        table: [] for table in (schema.images, schema.summaries, schema.uses, schema.references, schema.stacks)
    }
    now_ns = time.time_ns()
    for number in range(count):
        labels = {"org.example.number": str(number), "tenth": str(number // 10)}
        created_ns = _FIRST_NS + number * _SECOND
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created_ns // _SECOND)),
                "config": {"Labels": labels, "Cmd": ["/bin/true"]},
                "rootfs": {"type": "layers", "diff_ids": [str(layer)]},
            }
        ).encode()
        image = Digest(hashlib.sha256(config).hexdigest())
        name = f"docker.io/team/project-{number % 97}:v{number}"
        row = {"id": image, "parent": None, "created_ns": created_ns, "size": size}
        rows[schema.images].append({**row, "config": config, "tagged_ns": 0})
        shared = {"counted": True, "shared_size": size if count > 1 else 0}
        rows[schema.summaries].append({**row, "names": [name], "labels": labels, "containers": 0, **shared})
        rows[schema.uses].append({"id": image, "last_used_ns": now_ns})
        rows[schema.references].append({"name": name, "image": image})
        rows[schema.stacks].append({"owner": image.encoded, "position": 0, "diff_id": layer, "chain_id": layer})
    rows[schema.chains] = [{"chain_id": layer, "size": size, "images": count}]
    engine = create_engine(f"sqlite:///{data_root / 'db.sqlite'}")
    with engine.begin() as connection:
        for table, some in rows.items():
            connection.execute(insert(table), some)
    engine.dispose()


def list_times(directory: Path, count: int) -> dict[str, float]:
    """Return what a daemon with `count` images takes for each of some requests, in seconds: medians."""
    directory.mkdir()
    fill(directory / "data", count)
    begun = time.perf_counter()
    with daemon(str(directory)) as server:
        taken = {"start of the daemon": time.perf_counter() - begun}
        with closing(UnixConnection(server.socket, timeout=120)) as connection:
            whole = _get(connection, "/images/json")
            if len(json.loads(whole)) != count:
                raise RuntimeError(f"the list is not of {count} images")
            changed, again = [], []
            for number in range(9):
                target = f"/images/team/project-{number}:v{number}/tag?repo=team/new&tag=t{number}"
                changed.append(_seconds(lambda: _post(connection, target)))  # noqa: B023 - called at once
                again.append(_seconds(lambda: _get(connection, "/images/json")))
            taken["a tag for one image"] = statistics.median(changed)
            taken["whole list after that change"] = statistics.median(again)
            taken["whole list"] = _median(lambda: _get(connection, "/images/json"))
            taken["ten by a label"] = _median(lambda: _get(connection, _TEN))
            match = _etag(connection)
            taken["304 Not Modified"] = _median(lambda: _get(connection, "/images/json", match))
    return taken


def _median(action: Callable[[], object]) -> float:
    return statistics.median(_seconds(action) for _ in range(_ROUNDS))


def _seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def _etag(connection: UnixConnection) -> str:
    """Return the ETag of the whole list."""
    connection.request("GET", "/images/json")
    response = connection.getresponse()
    response.read()
    return response.headers["ETag"]


def _get(connection: UnixConnection, target: str, match: str = "") -> bytes:
    """Return the body of an answer, empty where `match` is still the tag of the list."""
    connection.request("GET", target, headers={"If-None-Match": match} if match else {})
    response = connection.getresponse()
    body = response.read()
    if response.status != (HTTPStatus.NOT_MODIFIED if match else HTTPStatus.OK):
        raise RuntimeError(f"{target}: {response.status}")
    return body


def _post(connection: UnixConnection, target: str) -> None:
    connection.request("POST", target)
    response = connection.getresponse()
    response.read()
    if response.status != HTTPStatus.CREATED:
        raise RuntimeError(f"{target}: {response.status}")
