"""Answer an SMS once, however often its event comes: the answer goes into an outbox."""

from insim_async import InvalidMessage, Sms
from insim_async.outbox import Outbox
from insim_async.webhooks import IncomingSms, WebhookRouter

HOURS = "Ouvert du mardi au samedi, de 9 h à 18 h."


def create_router(outbox: Outbox) -> WebhookRouter:
    router = WebhookRouter()

    @router.on(IncomingSms)
    async def tell_opening_hours(sms: IncomingSms) -> None:
        if "horaires" not in sms.message.casefold():
            return
        try:
            await outbox.put(Sms(sms.phone_number, HOURS, sms_id=f"reply-{sms.key}"))
        except InvalidMessage:
            return  # the sender has a name or a short code: nobody can reply to that

    return router
