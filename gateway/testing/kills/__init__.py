"""Kills a gateway at random moments under load, and judges what is left."""
