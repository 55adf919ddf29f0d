"""The parent's side of a worker: environment, start, pause, time-out, collect. Imports no
framework.
"""
