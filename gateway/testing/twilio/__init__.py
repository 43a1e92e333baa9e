"""A fake Twilio: the Messages API and the webhooks of an account, and people with telephones."""
