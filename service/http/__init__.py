"""What every route shares: problems, bodies, replies, pages, preconditions."""
