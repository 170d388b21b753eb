"""Trial: what a statement does when it is tried on a database that `scratch` makes for the purpose.

`description` is what PostgreSQL says of its types, `execution` runs it and has its plan, which `plan_trees` reads, and
`behaviour` sums up whether it still does on another schema what it did on its own.
"""
