"""PostgreSQL: the pool, the named queries of `sql/`, what errors mean, and the embedded server."""
