"""The tree of errors, as it is drawn and as it is."""

import re
from inspect import isclass

from officeai_proxy import errors


def drawn() -> dict[str, str]:
    """Each error of the drawing, and the one that it hangs from."""
    found: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in str(errors.__doc__).splitlines():
        if node := re.match(r" {4}([ │├└─]*)([A-Z]\w+)", line):
            depth, name = len(node[1]), node[2]
            above = [one for one in above if one[0] < depth]
            found[name] = above[-1][1] if above else "Exception"
            above.append((depth, name))
    return found


def test_the_drawing_is_the_tree() -> None:
    """Each class of the module has its line there, below the class that it is a kind of."""
    real = {
        kind.__name__: kind.__base__.__name__
        for kind in vars(errors).values()
        if isclass(kind) and issubclass(kind, errors.ProxyError) and kind.__base__
    }

    assert drawn() == real
