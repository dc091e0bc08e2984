"""Pictures in: sources, a packed memory-mapped array, splits, batches, and the report on what was found."""
