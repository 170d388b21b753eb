-- Loses: every topic, those added since included.

DROP TABLE topics;
