-- The statements by which the checks learn what the roles of the project may do in the current schema.

-- name: list_grants(roles)
-- What some roles and everybody have been granted on tables, views and sequences, and on their columns.
SELECT
    coalesce(role.rolname, 'PUBLIC') AS role_name,
    relation.relname AS table_name,
    acl.privilege_type AS verb,
    part.column_name,
    acl.is_grantable
FROM pg_class AS relation
CROSS JOIN LATERAL (
    SELECT NULL::name AS column_name, relation.relacl AS acl
    UNION ALL
    SELECT attribute.attname, attribute.attacl
    FROM pg_attribute AS attribute
    WHERE attribute.attrelid = relation.oid
        AND NOT attribute.attisdropped
) AS part
CROSS JOIN LATERAL aclexplode(part.acl) AS acl
LEFT JOIN pg_roles AS role ON role.oid = acl.grantee
WHERE relation.relnamespace = current_schema()::regnamespace
    AND (acl.grantee = 0 OR role.rolname::text = ANY (:roles))
    AND acl.grantee <> relation.relowner
    -- Of what an extension brings along, it decides who may see it.
    AND NOT EXISTS (
        SELECT FROM pg_depend
        WHERE pg_depend.classid = 'pg_class'::regclass
            AND pg_depend.objid = relation.oid
            AND pg_depend.deptype = 'e'
    )
ORDER BY role_name, table_name, verb, column_name;

-- name: list_powers(roles)
-- What some roles could do otherwise than by what they have been granted.
SELECT role.rolname AS role_name, power.told
FROM pg_roles AS role
CROSS JOIN LATERAL (
    SELECT 'is a superuser' WHERE role.rolsuper
    UNION ALL
    SELECT 'may create roles' WHERE role.rolcreaterole
    UNION ALL
    SELECT 'may create databases' WHERE role.rolcreatedb
    UNION ALL
    SELECT 'may replicate' WHERE role.rolreplication
    UNION ALL
    SELECT 'bypasses row security' WHERE role.rolbypassrls
    UNION ALL
    SELECT 'may create in schema ' || current_schema()
    WHERE has_schema_privilege(role.oid, current_schema(), 'CREATE')
    UNION ALL
    SELECT 'is a member of ' || pg_get_userbyid(membership.roleid)
    FROM pg_auth_members AS membership
    WHERE membership.member = role.oid
    UNION ALL
    SELECT 'owns ' || pg_describe_object(owned.classid, owned.objid, owned.objsubid)
    FROM pg_shdepend AS owned
    WHERE owned.refclassid = 'pg_authid'::regclass
        AND owned.refobjid = role.oid
        AND owned.deptype = 'o'
        AND owned.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS power (told)
WHERE role.rolname::text = ANY (:roles)
ORDER BY role_name, told;
