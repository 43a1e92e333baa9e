"""Telegram: one bot account, by long polling or by webhook."""
