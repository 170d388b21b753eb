-- INSERT, UPDATE and DELETE: whose rows are added, changed, removed, and shown.

-- name: a_delete(member_id, id)
-- right: limited as a SELECT is.
DELETE FROM notes
WHERE member_id = :member_id
    AND id = :id
RETURNING title;

-- name: a_delete_by_id(id)
-- wrong: the id is anybody's.
-- fault: notes is not limited
DELETE FROM notes
WHERE id = :id
RETURNING title;

-- name: a_delete_using(member_id)
-- right: the limit is handed on from what it uses.
DELETE FROM notes
USING revisions
WHERE revisions.member_id = :member_id
    AND notes.member_id = revisions.member_id
RETURNING notes.title;

-- name: a_delete_using_its_own(member_id)
-- wrong: what is used is limited, and the target is not.
-- fault: notes is not limited
DELETE FROM notes
USING revisions
WHERE revisions.member_id = :member_id
    AND notes.id = revisions.note_id
RETURNING notes.title;

-- name: a_delete_using_anybody(member_id)
-- wrong: the target is limited, and what is used is not.
-- fault: revisions is not limited
DELETE FROM notes
USING revisions
WHERE notes.member_id = :member_id
    AND revisions.member_id <> notes.member_id
RETURNING notes.title;

-- name: a_delete_at_a_cursor()
-- refused: nothing here knows what row a cursor is at.
-- fault: notes is not limited
DELETE FROM notes
WHERE CURRENT OF a_cursor;

-- name: a_delete_that_shows_others(member_id)
-- wrong: RETURNING has sub-queries, too.
-- fault: members is not limited
DELETE FROM notes
WHERE member_id = :member_id
RETURNING title, (SELECT count(*) FROM members) AS members;

-- name: an_update(member_id, id, title)
-- right: limited as a SELECT is.
UPDATE notes
SET title = :title
WHERE member_id = :member_id
    AND id = :id
RETURNING title;

-- name: an_update_by_id(id, title)
-- wrong: the id is anybody's.
-- fault: notes is not limited
UPDATE notes
SET title = :title
WHERE id = :id;

-- name: an_update_from(member_id)
-- right: both are limited.
UPDATE notes
SET title = members.email
FROM members
WHERE notes.member_id = :member_id
    AND members.id = notes.member_id;

-- name: an_update_from_anybody(member_id)
-- wrong: the title is taken from a note of another.
-- fault: notes (as source) is not limited
UPDATE notes
SET title = source.title
FROM notes AS source
WHERE notes.member_id = :member_id
    AND source.member_id <> :member_id
    AND source.id = notes.id;

-- name: an_update_from_own_of_anybody(member_id)
-- wrong: the source is limited, and the target is not.
-- fault: notes is not limited
UPDATE notes
SET title = source.title
FROM notes AS source
WHERE source.member_id = :member_id
    AND source.id = notes.id;

-- name: an_update_with_a_sub_query(member_id)
-- wrong: SET has sub-queries, too.
-- fault: members is not limited
UPDATE notes
SET title = (SELECT max(email) FROM members)
WHERE member_id = :member_id;

-- name: an_update_of_several(member_id)
-- wrong: so has SET with several columns.
-- fault: members is not limited
UPDATE notes
SET (title, body) = (SELECT max(email), min(email) FROM members)
WHERE member_id = :member_id;

-- name: an_update_of_several_with_own(member_id)
-- right: and that may be correlated with the row that is changed.
UPDATE notes
SET (title, body) = (SELECT members.email, members.email FROM members WHERE members.id = notes.member_id)
WHERE member_id = :member_id
RETURNING title;

-- name: a_gift(member_id, other_id)
-- wrong: it gives a revision to another member.
-- fault: revisions.member_id is set to something else than :member_id. Leave it as it is
UPDATE revisions
SET member_id = :other_id, number = 9
WHERE member_id = :member_id;

-- name: a_gift_in_a_row(member_id, other_id)
-- wrong: so it does, in a row.
-- fault: revisions.member_id is set to something else than :member_id
UPDATE revisions
SET (number, member_id) = ROW(9, :other_id)
WHERE member_id = :member_id;

-- name: a_gift_in_a_row_behind_the_parameter(member_id, other_id)
-- wrong: in a row, each column is given what stands in its own place.
-- fault: revisions.member_id is set to something else than :member_id
UPDATE revisions
SET (note_id, member_id) = ROW(:member_id, :other_id)
WHERE member_id = :member_id;

-- name: a_gift_to_oneself(member_id)
-- right: it was the caller's before.
UPDATE revisions
SET (member_id, body) = ROW(:member_id, 'again')
WHERE member_id = :member_id
RETURNING member_id;

-- name: an_insert(member_id, new_id, title)
-- right: the row is the caller's.
INSERT INTO notes (title, id, member_id)
VALUES (:title, :new_id, :member_id)
RETURNING title;

-- name: an_insert_for_another(other_id, new_id, title)
-- wrong: the row is another member's.
-- fault: notes.member_id is not given :member_id in each row that is inserted. Give it that
INSERT INTO notes (member_id, id, title)
VALUES (:other_id, :new_id, :title);

-- name: an_insert_in_the_wrong_order(member_id, other_id, title)
-- wrong: the values stand in another order than the columns.
-- fault: notes.member_id is not given :member_id
INSERT INTO notes (id, member_id, title)
VALUES (:member_id, :other_id, :title);

-- name: an_insert_without_columns(member_id, new_id, title)
-- right: without a list, the columns are in the order of the table.
INSERT INTO notes
VALUES (:member_id, :new_id, :title)
RETURNING title;

-- name: an_insert_without_an_owner(title)
-- refused: the column is not given, and its default would be anybody's.
-- fault: notes.member_id is not given :member_id
INSERT INTO notes (title)
VALUES (:title);

-- name: an_insert_with_the_default(title)
-- refused: the default is anybody's.
-- fault: notes.member_id is not given :member_id
INSERT INTO notes (member_id, title)
VALUES (DEFAULT, :title);

-- name: an_insert_of_defaults()
-- refused: so it is where all are defaults.
-- fault: members.id is not given :id
INSERT INTO members DEFAULT VALUES;

-- name: an_insert_of_several(member_id, other_id, new_id, title)
-- wrong: one of the rows is another member's.
-- fault: notes.member_id is not given :member_id
INSERT INTO notes (member_id, id, title)
VALUES (:member_id, :new_id, :title), (:other_id, :new_id, :title);

-- name: an_insert_of_several_own(member_id, id)
-- right: each row is the caller's.
INSERT INTO revisions (member_id, note_id, number, body, expires_at)
VALUES
    (:member_id, :id, 2, 'new', 'infinity'),
    (:member_id, :id, 3, 'newer', 'infinity')
RETURNING number;

-- name: an_insert_of_a_select(member_id, new_id)
-- right: the column that feeds the owner is limited.
INSERT INTO notes (id, member_id, title)
SELECT :new_id, members.id, members.email
FROM members
WHERE members.id = :member_id
RETURNING title;

-- name: an_insert_of_a_select_of_others(member_id, new_id)
-- wrong: it copies the title of another.
-- fault: notes (as source) is not limited
INSERT INTO notes (member_id, id, title)
SELECT :member_id, :new_id, max(source.title)
FROM notes AS source
WHERE source.member_id <> :member_id;

-- name: an_insert_of_a_select_for_others(member_id, new_id, title)
-- wrong: it adds a note for everybody else.
-- fault: notes.member_id is not given :member_id
INSERT INTO notes (member_id, id, title)
SELECT members.id, :new_id, :title
FROM members
WHERE members.id <> :member_id;

-- name: an_insert_of_a_select_with_another_column(member_id, new_id, title)
-- wrong: what feeds the owner is an id.
-- fault: notes.member_id is not given :member_id
INSERT INTO notes (member_id, id, title)
SELECT own.id, :new_id, :title
FROM notes AS own
WHERE own.member_id = :member_id;

-- name: an_insert_of_a_union(member_id, other_id, new_id, title)
-- wrong: one of its arms feeds the owner with another member.
-- fault: notes.member_id is not given :member_id
INSERT INTO notes (member_id, id, title)
SELECT :member_id::uuid, :new_id::uuid, :title
UNION ALL
SELECT :other_id, :new_id, :title;

-- name: an_insert_of_a_cte_with_a_star(member_id, new_id, title)
-- right: a star over a CTE is its columns in their order.
WITH given AS (
    SELECT :member_id::uuid AS member_id, :new_id::uuid AS id, :title AS title
)

INSERT INTO notes (member_id, id, title)
SELECT *
FROM given
RETURNING title;

-- name: a_nested_insert(member_id, new_id, title)
-- wrong: an INSERT in a CTE is an INSERT.
-- fault: notes.member_id is not given :member_id
WITH added AS (
    INSERT INTO notes (member_id, id, title)
    VALUES ('00000000-0000-4000-8000-00000000000b', :new_id, :title)
    RETURNING id
)

SELECT notes.title
FROM notes
WHERE notes.member_id = :member_id;

-- name: a_nested_update(member_id, title)
-- right: what it returns is limited, and limits what comes after it.
WITH changed AS (
    UPDATE notes
    SET title = :title
    WHERE member_id = :member_id
    RETURNING member_id
)

SELECT count(*) AS revisions
FROM revisions
JOIN changed ON changed.member_id = revisions.member_id;

-- name: a_nested_delete_of_anybody(id)
-- wrong: a DELETE in a CTE is a DELETE.
-- fault: revisions is not limited
WITH ended AS (
    DELETE FROM revisions
    WHERE note_id = :id
    RETURNING number
)

SELECT count(*) AS revisions
FROM ended;

-- name: a_column_that_is_changed_before_it_is_returned(member_id, other_id)
-- wrong: RETURNING gives what SET has made of the column, and that is another member.
-- fault: notes is not limited
WITH moved AS (
    UPDATE departures
    SET id = :other_id
    WHERE id = :member_id
    RETURNING id
)

SELECT notes.title
FROM notes
JOIN moved ON moved.id = notes.member_id;

-- name: a_column_that_stays_as_it_is(member_id)
-- right: RETURNING gives the column of the row that was limited.
WITH kept AS (
    UPDATE departures
    SET leaves_at = 'infinity'
    WHERE id = :member_id
    RETURNING *
)

SELECT notes.title
FROM notes
JOIN kept ON kept.id = notes.member_id;

-- name: a_target_with_the_name_of_a_cte(member_id)
-- wrong: the target of a DELETE is a table, even where a CTE has its name.
-- fault: notes is not limited
WITH notes AS (
    SELECT id AS own_id
    FROM notes
    WHERE member_id = :member_id
)

DELETE FROM notes
WHERE id = (SELECT min(own_id::text)::uuid FROM notes);

-- name: on_conflict_with_the_owner(member_id, id, title)
-- right: a row that is in the way has the same owner.
INSERT INTO notes (member_id, id, title)
VALUES (:member_id, :id, :title)
ON CONFLICT (member_id, id) DO UPDATE
SET title = excluded.title
RETURNING title;

-- name: on_conflict_on_a_constraint(member_id, id, title)
-- right: the constraint holds the owner.
INSERT INTO notes (member_id, id, title)
VALUES (:member_id, :id, :title)
ON CONFLICT ON CONSTRAINT notes_pkey DO UPDATE
SET title = excluded.title
RETURNING title;

-- name: on_conflict_by_a_class_of_operators(member_id, id, title)
-- refused: a class of operators says what is equal, and another may say it of different members.
-- fault: ON CONFLICT may change a row of another owner: it compares id, and not member_id.
INSERT INTO notes (member_id, id, title)
VALUES (:member_id, :id, :title)
ON CONFLICT (member_id uuid_ops, id) DO UPDATE
SET title = excluded.title;

-- name: on_conflict_do_nothing(member_id, shelf_id)
-- right: nothing of another member is changed or shown.
INSERT INTO labels (member_id, shelf_id, name, size)
VALUES (:member_id, :shelf_id, 'own', 1)
ON CONFLICT DO NOTHING
RETURNING name;

-- name: on_conflict_without_the_owner(member_id, shelf_id)
-- wrong: the row that is in the way may be another member's.
-- fault: ON CONFLICT may change a row of another owner: it compares shelf_id, name, and not member_id.
INSERT INTO labels (member_id, shelf_id, name, size)
VALUES (:member_id, :shelf_id, 'bob', 1)
ON CONFLICT (shelf_id, name) DO UPDATE
SET size = 2;

-- name: on_conflict_that_takes_over(member_id, shelf_id)
-- wrong: it takes a row from another member.
-- fault: ON CONFLICT may change a row of another owner
INSERT INTO labels (member_id, shelf_id, name, size)
VALUES (:member_id, :shelf_id, 'bob', 1)
ON CONFLICT ON CONSTRAINT labels_pkey DO UPDATE
SET member_id = excluded.member_id, size = excluded.size;

-- name: on_conflict_with_a_where(member_id, shelf_id)
-- right: its WHERE limits the row that is in the way.
INSERT INTO labels (member_id, shelf_id, name, size)
VALUES (:member_id, :shelf_id, 'alice', 1)
ON CONFLICT (shelf_id, name) DO UPDATE
SET size = 2
WHERE labels.member_id = :member_id
RETURNING name;

-- name: on_conflict_with_a_where_on_the_new_row(member_id, shelf_id)
-- wrong: the new row is the caller's anyway, and the one that is in the way is not.
-- fault: ON CONFLICT may change a row of another owner
INSERT INTO labels (member_id, shelf_id, name, size)
VALUES (:member_id, :shelf_id, 'bob', 1)
ON CONFLICT (shelf_id, name) DO UPDATE
SET size = 2
WHERE excluded.member_id = :member_id;

-- name: on_conflict_with_a_sub_query(member_id, id, title)
-- wrong: its SET has sub-queries, too.
-- fault: members is not limited
INSERT INTO notes (member_id, id, title)
VALUES (:member_id, :id, :title)
ON CONFLICT (member_id, id) DO UPDATE
SET title = (SELECT max(email) FROM members);

-- name: on_conflict_that_gives_away(member_id, id, other_id)
-- wrong: it gives a row of the caller to another.
-- fault: revisions.member_id is set to something else than :member_id
INSERT INTO revisions (member_id, note_id, number, body, expires_at)
VALUES (:member_id, :id, 1, 'as it was', 'infinity')
ON CONFLICT (member_id, note_id, number) DO UPDATE
SET member_id = :other_id, number = 9;

-- name: what_an_upsert_returns(member_id, other_id)
-- wrong: the row that comes back is the one that was in the way, as SET has changed it.
-- fault: notes is not limited
WITH kept AS (
    INSERT INTO departures (id, leaves_at)
    VALUES (:member_id, 'infinity')
    ON CONFLICT (id) DO UPDATE
    SET id = :other_id
    RETURNING id
)

SELECT notes.title
FROM notes
JOIN kept ON kept.id = notes.member_id;
