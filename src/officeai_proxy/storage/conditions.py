"""A filter's values, each with the test it stands for, to the conditions of a statement."""

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement

Test: TypeAlias = Callable[[Any], ColumnElement[bool]]
"""A value in, the condition that a row has it out; such as the `__eq__` of a column."""


def where_given(*tests: tuple[object, Test]) -> list[ColumnElement[bool]]:
    """The conditions of those *tests* that have a value; None asks for nothing."""
    return [test(value) for value, test in tests if value is not None]
