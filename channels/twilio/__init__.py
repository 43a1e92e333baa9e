"""SMS and WhatsApp through Twilio: two kinds of channel over one adapter."""
