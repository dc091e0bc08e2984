"""Blocks, normalisations and losses that models are made of."""
