-- name: get_topic(topic)^
-- One of the topics that a note can be under.
-- Takes: topic from Note.
-- Returns: Topic, no row when there is no such topic.
-- Plan: seq scan of topics; they are a handful.
SELECT topic, is_closed, position
FROM topics
WHERE topic = :topic;

-- name: list_topics()
-- The topics that a note can be under, in the order in which people see them. They are few, so there are no pages.
-- Returns: Topic, many.
-- Plan: seq scan of topics, sort; they are a handful.
SELECT topic, is_closed, position
FROM topics
ORDER BY position;
