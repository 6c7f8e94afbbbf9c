"""Socketeer talks to other implementations, over loopback, both ways round."""
