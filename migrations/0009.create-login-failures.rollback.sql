-- Loses: who has failed to log in of late; they may try again at once.

DROP TABLE login_failures;
