"""A messaging platform that has everything, and the channel to it: to prove what only that can."""
