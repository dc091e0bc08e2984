"""The floor everything stands on: settings, registry, randomness, errors, safe file writing. No torch."""
