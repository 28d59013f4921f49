"""The acts of people by name, with arguments from JSON: what HTTP, and a page, can do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

from insim_async._privacy import Unshown
from insim_async.sandbox.state import Sandbox

__all__ = ["ACTS", "act"]

_ACTS: tuple[Callable[..., object], ...] = (
    Sandbox.reply,
    Sandbox.click,
    Sandbox.call_in,
    Sandbox.miss_call,
    Sandbox.answer,
    Sandbox.let_ring,
    Sandbox.leave_note,
    Sandbox.mark_delivered,
    Sandbox.leave_undelivered,
    Sandbox.go_offline,
    Sandbox.come_back,
    Sandbox.send_again,
    Sandbox.try_callback,
    Sandbox.clear_webhooks,
    Sandbox.take_back,
    Sandbox.clear_faults,
    Sandbox.forget_everything,
)


def _arguments_of(method: Callable[..., object]) -> type[Struct]:
    """Make a struct that takes what a method takes, and nothing else."""
    hints = get_type_hints(method)
    _, *parameters = inspect.signature(method).parameters.values()
    fields: list[Any] = [
        (each.name, hints[each.name])
        if each.default is each.empty
        else (each.name, hints[each.name], each.default)
        for each in parameters
    ]
    return msgspec.defstruct(
        "Arguments", fields, bases=(Unshown,), frozen=True, forbid_unknown_fields=True
    )


ACTS: dict[str, tuple[Callable[..., object], Decoder[Any]]] = {
    method.__name__: (method, Decoder(_arguments_of(method))) for method in _ACTS
}
"""What can be done, by the name of the method of ``Sandbox``, and what reads its arguments."""


def act(sandbox: Sandbox, name: str, arguments: bytes) -> object:
    """Do what a name says, with arguments as a JSON object; return what came of it.

    Raises:
        KeyError: There is no such act.
        ValueError: It does not take these arguments; ``Impossible`` if it is not possible now.
    """
    method, decoder = ACTS[name]
    return method(sandbox, **msgspec.structs.asdict(decoder.decode(arguments or b"{}")))
