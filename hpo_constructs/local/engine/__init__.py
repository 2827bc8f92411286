"""The local tuning engine: a searcher (what to try next), a backend (where it runs) and the tuner's loop."""
