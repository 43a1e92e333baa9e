"""A fake Telegram: the Bot API as a bot sees it, and the people as a test plays them."""
