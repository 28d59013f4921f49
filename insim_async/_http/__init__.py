"""One POST to the server: slots, pace, deadline, attempts, and what a failure proves."""

from insim_async._http.calls import Call
from insim_async._http.connection import Connection
from insim_async._http.gate import Gate
from insim_async._http.transport import HttpClient, Transport

__all__ = ["Call", "Connection", "Gate", "HttpClient", "Transport"]
