"""A fake model endpoint in the format of the OpenAI API."""
