import pytest

from imagewright.api.errors import PageNotFound
from imagewright.api.routes import find_route


@pytest.mark.parametrize(
    ("method", "path", "route", "name", "version"),
    [
        ("GET", "/_ping", "/_ping", "", ""),
        ("HEAD", "/v1.41/_ping", "/_ping", "", "1.41"),
        ("GET", "/images/json", "/images/json", "", ""),
        ("GET", "/v1.21/images/a/b:1/json", "/images/{name}/json", "a/b:1", "1.21"),
        ("GET", "/images/json/json", "/images/{name}/json", "json", ""),
        ("GET", "/images/get", "/images/get", "", ""),
        ("GET", "/images/localhost:5000/x/get", "/images/{name}/get", "localhost:5000/x", ""),
        ("DELETE", "/images/", "/images/{name}", "", ""),
        ("DELETE", "/images/reg.example/x:y", "/images/{name}", "reg.example/x:y", ""),
        ("OPTIONS", "/v1.99/x", "/{name}", "x", "1.99"),
        ("OPTIONS", "/x/y", "/{name}", "x/y", ""),
        ("POST", "/v1/build", "/build", "", "1"),
    ],
)
def test_routes(method: str, path: str, route: str, name: str, version: str) -> None:
    match = find_route(method, path)
    assert (match.route.path, match.name, match.version) == (route, name, version)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/vfoo/images/json"),
        ("GET", "/v1.41"),
        ("GET", "/images/json/"),
        ("GET", "/build"),
        ("POST", "/images/json"),
        ("HEAD", "/version"),
        ("GET", "/_ping/x"),
        ("GET", "/imagesXjson"),
        ("POST", "/containers/create"),
    ],
)
def test_no_page(method: str, path: str) -> None:
    with pytest.raises(PageNotFound, match="page not found"):
        find_route(method, path)
