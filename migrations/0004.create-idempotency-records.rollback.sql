-- Loses: the answers of the last day's keyed writes; one that is sent again then happens again.

DROP TABLE idempotency_records;
