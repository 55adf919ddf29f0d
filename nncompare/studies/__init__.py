"""One folder a command: command, study, record, report, progress."""
