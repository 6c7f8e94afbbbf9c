"""
The program ``socketeer``: a client, a server and a load generator.

Needs the extra ``socketeer[cli]``. One module for each command; what they share
stands beside them.
"""
