"""
The judgement on the types of the public interface.
"""

from __future__ import annotations

from tools.typed import judge


def report(known, unknown, *symbols):
    return {
        "exportedSymbolCounts": {"withKnownType": known, "withUnknownType": unknown},
        "symbols": [
            {"name": name, "isExported": exported, "isTypeKnown": is_known}
            for name, exported, is_known in symbols
        ],
    }


def test_known_types_are_fine():
    """
    Inferred types of attributes are counted as ambiguous, and allowed.
    """
    assert [] == judge(report(9, 0, ("a", True, False)))


def test_unknown_types_are_named():
    """
    Names that are not public do not matter.
    """
    symbols = [("a", True, False), ("b", True, True), ("c", False, False)]

    assert ["a"] == judge(report(9, 1, *symbols))


def test_an_empty_report_is_no_success():
    """
    A package that was not found has no unknown types either.
    """
    assert ["the package was not found"] == judge(report(0, 0))
