"""A fake Slack: Web API, Events API, Socket Mode, and the people as a test plays them."""
