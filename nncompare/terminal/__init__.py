"""What every command is made of: consoles, shared options, signals, and how it ends."""
