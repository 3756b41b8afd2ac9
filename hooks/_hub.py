"""Whether the Hugging Face hub can be had."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit
from urllib.request import getproxies


def hub_is_out_of_reach() -> bool:
    """Whether the hub's name does not even resolve, which saves half a minute of retries for each file."""
    from huggingface_hub.constants import ENDPOINT

    if getproxies():
        return False
    try:
        socket.getaddrinfo(urlsplit(ENDPOINT).hostname, None)
    except OSError:
        return True
    return False
