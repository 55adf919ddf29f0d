"""The power of the parity check: errors planted in the backends, one at a time, and every one must
be found.
"""
