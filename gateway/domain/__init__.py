"""What the words of the gateway mean: frozen values and pure rules, no I/O and no clock."""
