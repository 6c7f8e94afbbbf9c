"""The ground: words of the protocol, without connections."""
