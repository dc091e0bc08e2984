"""Phases, the one training loop, checkpoints, run folders. It knows no model by name."""
