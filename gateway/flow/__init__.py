"""The moving parts between what comes in and what goes out."""
