"""Errors are values that travel: their tree, their words, their facts."""

from __future__ import annotations

import pickle

import pytest

from insim_async import BulkInterrupted, BulkReport, ContactResult, errors

ERRORS = [
    errors.InSimError("why"),
    errors.ConfigurationError("why"),
    errors.InvalidMessage("message", "it is empty"),
    errors.NotSent("why"),
    errors.RateLimited("why", retry_after=2.5),
    errors.Refused("why", codes=("#003",), status_code=400),
    errors.AuthenticationFailed("why", status_code=401),
    errors.OutcomeUnknown("why"),
    errors.InvalidWebhook("why"),
    BulkInterrupted("why", report=BulkReport([], sent=3)),
    BulkInterrupted("why", report=BulkReport([]), results=[ContactResult("+33639980001", ok=True)]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_a_pickle_with_its_facts(error: errors.InSimError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("kind", "above"),
    [
        (errors.InvalidMessage, ValueError),
        (errors.RateLimited, errors.NotSent),
        (errors.AuthenticationFailed, errors.Refused),
        *((getattr(errors, name), errors.InSimError) for name in errors.__all__),
    ],
)
def test_the_tree_is_as_drawn(kind: type[Exception], above: type[Exception]) -> None:
    assert issubclass(kind, above)


def test_bad_input_says_where_and_what() -> None:
    assert str(errors.InvalidMessage("message", "it is empty")) == "message: it is empty"
