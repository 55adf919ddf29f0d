"""What every command is made of: consoles, shared options, exit codes."""
