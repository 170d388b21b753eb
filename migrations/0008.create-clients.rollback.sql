-- Loses: every service client; they have to be created again, with other secrets.

DROP TABLE clients;
DROP FUNCTION clients_before_update();
DROP FUNCTION clients_after_revocation();
