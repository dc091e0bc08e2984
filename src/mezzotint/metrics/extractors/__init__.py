"""Extractors: one file each. They are found by listing this folder."""
