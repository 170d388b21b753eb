-- Loses: nothing; `status` as a member of task_readonly no longer tells of what was edited.

REVOKE SELECT ON _migration_checksum FROM task_readonly;
