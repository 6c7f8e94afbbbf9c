"""
Half an hour of churn: what must not grow does not grow.

    python -m tests.soak --seconds 1800 --plot build/soak.png
"""
