"""One POST to the server: whose turn it is, deadline, attempts, and what a failure proves."""

from insim_async._http.calls import Call
from insim_async._http.connection import Connection
from insim_async._http.gate import Gate
from insim_async._http.guard import bar, unbar
from insim_async._http.schedule import Rank, Ticket
from insim_async._http.transport import HttpClient, Transport

__all__ = ["Call", "Connection", "Gate", "HttpClient", "Rank", "Ticket", "Transport"]
__all__ += ["bar", "unbar"]
