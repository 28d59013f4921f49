"""A FastAPI app that confirms bookings by SMS: one client, open as long as the app runs."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

from insim_async import AsyncInSim, InSimError, InvalidMessage, OutcomeUnknown

logger = logging.getLogger(__name__)


class State(TypedDict):
    insim: AsyncInSim


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    async with AsyncInSim() as insim:
        yield {"insim": insim}


def client(request: Request) -> AsyncInSim:
    insim: AsyncInSim = request.state.insim
    return insim


class Booking(BaseModel):
    reference: str
    phone_number: str


app = FastAPI(lifespan=lifespan)


@app.post("/bookings", status_code=201)
async def book(booking: Booking, insim: Annotated[AsyncInSim, Depends(client)]) -> dict[str, str]:
    text = f"Réservation {booking.reference} confirmée."
    try:
        await insim.send_sms(booking.phone_number, text, sms_id=f"booking-{booking.reference}")
    except InSimError as error:
        # The log gets the error's words, which are for you; the customer gets yours.
        logger.warning("booking %r: %s: %s", booking.reference, type(error).__name__, error)
        if isinstance(error, InvalidMessage) and error.field == "phone_number":
            raise HTTPException(422, "Please check the phone number.") from None
        sent = "perhaps sent" if isinstance(error, OutcomeUnknown) else "not sent"
        return {"sms": sent}
    return {"sms": "sent"}
