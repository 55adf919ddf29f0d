"""With which numbers: keys, initial weights, batches, losses, updates and formulas in NumPy."""
