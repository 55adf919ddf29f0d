"""The shipped checks must fail what is wrong."""
