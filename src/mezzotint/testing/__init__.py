"""The public contract suite for models."""
