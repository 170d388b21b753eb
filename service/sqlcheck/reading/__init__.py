"""Reading: all that is given, in a form that can be reasoned about.

`statements` are the named queries with their comments, `sources` the fields that feed their parameters, `schema` the
tables of the database, `releases` an earlier revision of all that. `resolver`, with `selects`, makes `scopes` of a
parse tree, by way of `trees`: the meaning of each name in a statement.
"""
