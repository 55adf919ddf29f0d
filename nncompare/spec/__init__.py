"""What is asked: experiment, data, training, models, layers, runtimes, jobs. No side effects."""
