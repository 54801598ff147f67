import pytest

import imagewright
from imagewright import engine


def test_the_public_face_is_that_of_the_engine() -> None:
    assert imagewright.Engine is engine.Engine
    assert imagewright.BuildRequest is engine.BuildRequest


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = imagewright.Nothing
