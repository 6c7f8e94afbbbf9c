"""
Hostile peers against a live process, while healthy clients are being served.

Each attack is a row of the table in ``docs/security.md``. With ``HOSTILE=full`` in
the environment they run at full strength, and latencies are judged; otherwise few
attackers show that every wait and every buffer ends as the page says.
"""
