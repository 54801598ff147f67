"""A web application that greets whoever asks, whatever their name is."""

from flask import Flask, request
from markupsafe import Markup

__all__ = ["app", "check"]

GREETING = "Hello"

app = Flask(__name__)


@app.get("/")
def greet() -> Markup:
    """Return the greeting; a name is text, and never markup."""
    return Markup("<p>{}, {}!</p>\n").format(GREETING, request.args.get("name", "world"))


def check() -> str:
    """Return what the application answers, without a server."""
    return app.test_client().get("/", query_string={"name": "<you>"}).text.strip()
