"""
Fuzzing: programs that look for input which Socketeer does not handle as it should.

A target is a function of some bytes, in ``targets/``. It raises an exception when
it has found something. ``python -m fuzz TARGET`` lets atheris look for such bytes;
what it once found is kept in ``corpus/``, and all of that runs as a test.
"""
