"""HTTP: the parts that every route shares, such as problems, bodies, replies, pages and preconditions."""
