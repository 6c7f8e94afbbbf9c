"""
Benchmarks: Socketeer beside its peers, under the same load, in turn.

``python -m bench`` measures all rows and writes ``docs/performance.md``; ``make
bench`` makes the environment first. ``README.md`` in this folder tells more.
"""
