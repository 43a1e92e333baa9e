"""What is remembered: one protocol, a folder for each database."""
