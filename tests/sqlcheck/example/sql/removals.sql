-- name: list_removals(after_removed_at, after_digest, page_size)
-- One page of the notes that are no more, oldest first: those after the given position.
-- Takes: RemovalPage.
-- Returns: Removal, many.
-- Plan: removals_removed_at_digest_idx, no sort.
SELECT digest, removed_at
FROM removals
WHERE (removed_at, digest) > (:after_removed_at, :after_digest)
ORDER BY removed_at, digest
LIMIT :page_size;
