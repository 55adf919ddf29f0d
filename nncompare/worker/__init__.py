"""One process, one job: entry, training with its gate and clock, parity checks, formulas."""
