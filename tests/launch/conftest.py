"""Fixtures of the launch tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from standin_prefix import Prefix


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path / "prefix")


@pytest.fixture
def parameters_of(prefix: Prefix) -> Callable[..., dict[str, object]]:
    """The inline parameters of a single node with these `<param>` elements."""

    def read(params: str, **given: str) -> dict[str, object]:
        declared = "".join(f'<arg name="{name}" default=""/>' for name in given)
        (node,) = prefix.plan(f'{declared}<node pkg="standin" exec="n">{params}</node>', **given)
        (inline,) = node.parameters
        assert isinstance(inline, dict)
        return inline

    return read
