"""Answer SMS and keep delivery reports: what the two webhook apps do.

They are in webhooks_fastapi.py and webhooks_aiohttp.py.
"""

import asyncio
import logging

from sms_log import SmsLog

from insim_async import (
    AsyncInSim,
    AuthenticationFailed,
    ConfigurationError,
    InvalidMessage,
    NotSent,
    OutcomeUnknown,
    Refused,
)
from insim_async.webhooks import DeliveryStatus, IncomingSms, WebhookRouter

logger = logging.getLogger(__name__)


def create_router(insim: AsyncInSim, log: SmsLog) -> WebhookRouter:
    router = WebhookRouter()

    @router.on(IncomingSms)
    async def tell_opening_hours(sms: IncomingSms) -> None:
        if "horaires" not in sms.message.casefold():
            return
        sms_id = f"reply-{sms.key}"
        if not await asyncio.to_thread(log.begin, sms_id):
            return  # seen before: the reply has left, or may have
        try:
            await insim.send_sms(
                sms.phone_number, "Ouvert du mardi au samedi, de 9 h à 18 h.", sms_id=sms_id
            )
        except (AuthenticationFailed, ConfigurationError, NotSent):
            await asyncio.to_thread(log.forget, sms_id)
            raise  # nothing left: the inbox hands the SMS over again, later
        except (InvalidMessage, Refused, OutcomeUnknown) as error:
            # Another try would be refused too, or be a second reply.
            logger.warning("%s: %s", sms_id, error)

    @router.on(DeliveryStatus)
    async def keep(report: DeliveryStatus) -> None:
        if report.sms_id:
            await asyncio.to_thread(log.record, report)

    return router
