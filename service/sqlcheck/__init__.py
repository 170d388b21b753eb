"""The prover of a project's SQL, and the teller of it: `python -m service sql check` and `sql catalogue`.

A statement goes from room to room: `reading` takes it in with the schema it is held against, `proofs` and `trial` find
out about it, by its parse tree alone and by trying it on a database; `checks` hold that against its promises, with
`lint` for the migrations, and `run` and `reports` tell of what they found. `catalogue` writes everything down.

`project` is the one place that knows which project this is about.
"""
