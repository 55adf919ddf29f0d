"""One process, one session: the entry, the gate with its clock, the probes and the wire."""
