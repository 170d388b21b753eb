"""Accounts: registering, logging in, and who a caller is."""
