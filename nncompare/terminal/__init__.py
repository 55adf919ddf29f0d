"""What every command is made of: consoles, shared options, progress, signals, and how it ends."""
