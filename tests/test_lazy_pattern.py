"""A pattern that is compiled at its first use finds what a compiled one finds."""

import re

from chatdev.lazy_pattern import LazyPattern


def test_a_lazy_pattern_is_compiled_once_at_its_first_use_and_works_as_a_compiled_one() -> None:
    lazy, compiled = LazyPattern(r"(\d)b", re.I), re.compile(r"(\d)b", re.I)
    assert "compiled" not in vars(lazy)
    text = "1a 2B 3b"
    found, wanted = lazy.search(text, 4), compiled.search(text, 4)
    assert found is not None and wanted is not None and found.span() == wanted.span()
    assert lazy.match(text) is None and lazy.match("2b") is not None
    assert [each[1] for each in lazy.finditer(text)] == compiled.findall(text) == ["2", "3"]
    assert lazy.sub("-", text) == compiled.sub("-", text) == "1a - -"
    assert lazy.compiled is lazy.compiled
