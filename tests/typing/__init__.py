"""
Typical programs, for type checkers: nothing here is executed.
"""
