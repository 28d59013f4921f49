"""What a campaign would send and cost, counted text by text."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable

from insim_async import segments
from insim_async.campaigns._values import CampaignMessage, Preview

__all__ = ["previewed"]


async def previewed(messages: AsyncIterable[CampaignMessage], limit: int) -> Preview:
    """Count what some messages would cost, and keep the first of them."""
    encodings, characters = Counter[str](), Counter[str]()
    parts = longest = 0
    samples: list[CampaignMessage] = []
    async for message in messages:
        counted = segments.count(message.text)
        encodings[counted.encoding] += 1
        characters.update(counted.non_gsm)
        parts += counted.parts
        longest = max(longest, counted.parts)
        if len(samples) < limit:
            samples.append(message)
    return Preview(
        messages=encodings.total(),
        parts=parts,
        by_encoding=dict(encodings),
        longest=longest,
        non_gsm=dict(characters.most_common()),
        samples=tuple(samples),
    )
