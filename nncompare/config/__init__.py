"""Text to experiment and back: parsing, overrides, messages with positions, schema."""
