"""What crosses between the parent and a worker: messages, job folders, observations."""
