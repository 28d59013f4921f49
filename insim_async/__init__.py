"""Asyncio client for inSIM, the phone gateway."""
