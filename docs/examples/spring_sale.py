"""A campaign as a function that can be tested: client, file and list come from outside."""

from insim_async import AsyncInSim
from insim_async.campaigns import Campaign, CampaignReport, Limits, SendWindow
from insim_async.recipients import Recipients

TEXT = "Bonjour {first_name|cher client}, soldes chez Ana dès mardi. STOP pour refuser."


async def send_all(insim: AsyncInSim, campaign: Campaign, people: Recipients) -> CampaignReport:
    await campaign.add(people, TEXT)
    window = SendWindow("08:00", "20:00", days="mon-sat", timezone="Europe/Paris")
    return await campaign.run(insim, limits=Limits(per_minute=20), window=window)
