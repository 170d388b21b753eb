-- Generated from migrations/ by `make schema`: do not edit.

CREATE COLLATION public.tasks_search (provider = builtin, locale = 'C.UTF-8');

COMMENT ON COLLATION public.tasks_search IS 'Knows the case of every letter of Unicode, in no language in particular.';

CREATE FUNCTION public.clients_after_revocation() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO '$user', 'public'
    AS $$
BEGIN
    INSERT INTO revocations (id, expires_at)
    VALUES (OLD.id, 'infinity')
    ON CONFLICT ON CONSTRAINT revocations_pkey DO NOTHING;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION public.clients_after_revocation() IS 'Stops the access tokens of a client that is revoked or deleted.';

CREATE FUNCTION public.clients_before_update() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.id := OLD.id;
    NEW.created_at := OLD.created_at;
    NEW.updated_at := OLD.updated_at;
    NEW.revoked_at := coalesce(OLD.revoked_at, NEW.revoked_at);
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION public.clients_before_update() IS 'Keeps id, created_at and, once set, revoked_at; moves updated_at when something changed.';

CREATE FUNCTION public.revocations_after_insert() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_notify('revocations', NEW.id || ' ' || extract(epoch FROM NEW.expires_at));
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION public.revocations_after_insert() IS 'Tells every process that listens, when the transaction commits: the id, a space, and when it expires (epoch seconds).';

CREATE FUNCTION public.sessions_after_delete() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO '$user', 'public'
    AS $$
BEGIN
    INSERT INTO revocations (id, expires_at)
    VALUES (OLD.id, OLD.access_expires_at)
    ON CONFLICT ON CONSTRAINT revocations_pkey DO NOTHING;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION public.sessions_after_delete() IS 'Stops the access tokens of a session that ends, whoever ends it.';

CREATE FUNCTION public.tasks_before_insert() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO '$user', 'public'
    AS $$
BEGIN
    IF (SELECT is_done FROM task_statuses WHERE status = NEW.status) THEN
        NEW.completed_at := coalesce(NEW.completed_at, now());
    ELSE
        NEW.completed_at := NULL;
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION public.tasks_before_insert() IS 'Makes completed_at follow the status.';

CREATE FUNCTION public.tasks_before_update() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO '$user', 'public'
    AS $$
BEGIN
    NEW.user_id := OLD.user_id;
    NEW.id := OLD.id;
    NEW.completed_at := OLD.completed_at;
    NEW.version := OLD.version;
    NEW.created_at := OLD.created_at;
    NEW.updated_at := OLD.updated_at;
    -- A no-op goes through unchanged rather than being suppressed (RETURN NULL), so that UPDATE ... RETURNING still
    -- answers with the row as it is now, also after waiting for another writer.
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    IF NEW.status IS DISTINCT FROM OLD.status THEN
        IF (SELECT is_done FROM task_statuses WHERE status = NEW.status) THEN
            NEW.completed_at := coalesce(OLD.completed_at, clock_timestamp());
        ELSE
            NEW.completed_at := NULL;
        END IF;
    END IF;
    NEW.version := OLD.version + 1;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION public.tasks_before_update() IS 'Keeps the keys and created_at; on a change, bumps version, moves updated_at, makes completed_at follow the status.';

CREATE FUNCTION public.users_before_update() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.id := OLD.id;
    NEW.created_at := OLD.created_at;
    NEW.updated_at := OLD.updated_at;
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END;
$$;

COMMENT ON FUNCTION public.users_before_update() IS 'Keeps id and created_at; moves updated_at when something changed.';

CREATE TABLE public.clients (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name character varying(100) NOT NULL,
    scopes text[] NOT NULL,
    secret_hash bytea NOT NULL,
    previous_secret_hash bytea,
    previous_secret_expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT clients_name_check CHECK (((name)::text ~ '^[A-Za-z0-9][A-Za-z0-9 ._-]*$'::text)),
    CONSTRAINT clients_previous_secret_check CHECK ((((octet_length(previous_secret_hash) = 32) AND (previous_secret_expires_at IS NOT NULL)) OR ((previous_secret_hash IS NULL) AND (previous_secret_expires_at IS NULL)))),
    CONSTRAINT clients_scopes_check CHECK (((scopes <@ ARRAY['tasks:read'::text, 'tasks:write'::text]) AND (cardinality(scopes) > 0))),
    CONSTRAINT clients_secret_hash_length_check CHECK ((octet_length(secret_hash) = 32))
);

COMMENT ON TABLE public.clients IS 'Services that call this one as themselves, by the client_credentials grant of OAuth 2.0.';

COMMENT ON COLUMN public.clients.scopes IS 'What it may do with the tasks of any user.';

COMMENT ON COLUMN public.clients.secret_hash IS 'SHA-256 of the secret, which is 256 random bits: nothing slower would make it harder to guess.';

COMMENT ON COLUMN public.clients.previous_secret_hash IS 'The secret before, which is good beside the other until it expires; NULL means there is none.';

COMMENT ON COLUMN public.clients.revoked_at IS 'NULL means it may call. Once revoked, it stays so.';

CREATE TABLE public.idempotency_records (
    caller_id uuid NOT NULL,
    key text NOT NULL,
    user_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    location text,
    etag text,
    body bytea,
    expires_at timestamp with time zone DEFAULT (now() + '24:00:00'::interval) NOT NULL,
    CONSTRAINT idempotency_records_fingerprint_length_check CHECK ((octet_length(fingerprint) = 32)),
    CONSTRAINT idempotency_records_key_length_check CHECK (((char_length(key) >= 1) AND (char_length(key) <= 255))),
    CONSTRAINT idempotency_records_status_success_check CHECK (((status >= 200) AND (status <= 299)))
);

COMMENT ON TABLE public.idempotency_records IS 'The answers of keyed writes that succeeded, each added in the transaction of its write.';

COMMENT ON COLUMN public.idempotency_records.caller_id IS 'Who sent the key. No foreign key: whatever can authenticate can be a caller, not users alone.';

COMMENT ON COLUMN public.idempotency_records.key IS 'The Idempotency-Key itself, without the quotes it may have been sent in.';

COMMENT ON COLUMN public.idempotency_records.user_id IS 'Whose tasks the write was about; the answer holds them, and goes with them.';

COMMENT ON COLUMN public.idempotency_records.fingerprint IS 'SHA-256 of what makes two requests the same one.';

COMMENT ON COLUMN public.idempotency_records.location IS 'The header field of the answer; NULL means it had none.';

COMMENT ON COLUMN public.idempotency_records.etag IS 'The header field of the answer; NULL means it had none.';

COMMENT ON COLUMN public.idempotency_records.body IS 'The bytes of the answer, which are JSON; NULL means it had none.';

COMMENT ON COLUMN public.idempotency_records.expires_at IS 'From then on the key is free again; the row stays until it is purged.';

CREATE TABLE public.login_failures (
    subject bytea NOT NULL,
    failures integer DEFAULT 1 NOT NULL,
    expires_at timestamp with time zone DEFAULT (now() + '00:15:00'::interval) NOT NULL,
    CONSTRAINT login_failures_failures_positive_check CHECK ((failures > 0)),
    CONSTRAINT login_failures_subject_length_check CHECK ((octet_length(subject) = 32))
);

COMMENT ON TABLE public.login_failures IS 'How often a log-in has failed of late, for each account and for each address.';

COMMENT ON COLUMN public.login_failures.subject IS 'HMAC-SHA-256 of what the failures are of: an email address that was tried, whether anybody has it or not, or a network address. Keyed with the pepper, since people type passwords where the address goes.';

COMMENT ON COLUMN public.login_failures.expires_at IS 'The end of the 15 minutes that began with the first of the failures.';

CREATE TABLE public.revocations (
    id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.revocations IS 'Sessions and service clients that are no more, for as long as an access token of theirs could still be good.';

COMMENT ON COLUMN public.revocations.id IS 'Of the session or the client. No foreign key: what it names may be gone.';

COMMENT ON COLUMN public.revocations.expires_at IS 'No access token is good after this; infinity for a client.';

CREATE TABLE public.sessions (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    successor_salt bytea,
    expires_at timestamp with time zone NOT NULL,
    access_expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT sessions_successor_salt_length_check CHECK ((octet_length(successor_salt) = 32)),
    CONSTRAINT sessions_token_hash_length_check CHECK ((octet_length(token_hash) = 32))
);

COMMENT ON TABLE public.sessions IS 'Log-ins that go on, each a family of refresh tokens of which one is live. Deleting a row ends the session.';

COMMENT ON COLUMN public.sessions.id IS 'The sid of its access tokens. The service draws it, since the refresh token holds it.';

COMMENT ON COLUMN public.sessions.token_hash IS 'SHA-256 of the one live refresh token. A column, so that a family cannot fork.';

COMMENT ON COLUMN public.sessions.successor_salt IS 'Random; with the token that was spent last it gives the live one. NULL until a token has been spent.';

COMMENT ON COLUMN public.sessions.expires_at IS 'When the live refresh token expires, and the session with it.';

COMMENT ON COLUMN public.sessions.access_expires_at IS 'No access token of the session is good after this, with minutes to spare for clocks that differ.';

CREATE TABLE public.spent_refresh_tokens (
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    spent_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT spent_refresh_tokens_token_hash_length_check CHECK ((octet_length(token_hash) = 32))
);

COMMENT ON TABLE public.spent_refresh_tokens IS 'Refresh tokens that were used, so that one that is used again is known as stolen.';

COMMENT ON COLUMN public.spent_refresh_tokens.token_hash IS 'SHA-256 of the token.';

COMMENT ON COLUMN public.spent_refresh_tokens.expires_at IS 'From then on it is a token like any unknown one.';

CREATE TABLE public.task_statuses (
    status text NOT NULL,
    is_done boolean NOT NULL,
    "position" integer NOT NULL,
    CONSTRAINT task_statuses_status_format_check CHECK ((status ~ '^[a-z][a-z0-9_]{0,62}$'::text))
);

COMMENT ON TABLE public.task_statuses IS 'The states that a task can be in; a new state is a new row.';

COMMENT ON COLUMN public.task_statuses.is_done IS 'Whether a task in this state counts as completed.';

COMMENT ON COLUMN public.task_statuses."position" IS 'The order in which people see the states.';

CREATE TABLE public.tasks (
    user_id uuid NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    title character varying(200) NOT NULL,
    description character varying(2000),
    status text DEFAULT 'incomplete'::text NOT NULL,
    completed_at timestamp with time zone,
    version bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tasks_description_length_check CHECK ((char_length((description)::text) <= 2000)),
    CONSTRAINT tasks_title_blank_check CHECK (((title)::text ~ '[^[:space:]\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'::text)),
    CONSTRAINT tasks_title_length_check CHECK (((char_length((title)::text) >= 1) AND (char_length((title)::text) <= 200))),
    CONSTRAINT tasks_version_positive_check CHECK ((version > 0))
);

COMMENT ON TABLE public.tasks IS 'What users want done. Every row belongs to exactly one user.';

COMMENT ON COLUMN public.tasks.title IS 'As sent, outer white space included; never blank.';

COMMENT ON COLUMN public.tasks.description IS 'NULL means none was given; an empty one is kept as such.';

COMMENT ON COLUMN public.tasks.completed_at IS 'When the status became one that is done; NULL while it is not.';

COMMENT ON COLUMN public.tasks.version IS 'Counts the changes of the row, from 1; the ETag of the task.';

CREATE TABLE public.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    email character varying(255) NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT users_email_canonical_check CHECK ((((email)::text = lower((email)::text)) AND ((email)::text ~~ '_%@_%'::text)))
);

COMMENT ON TABLE public.users IS 'People who own tasks.';

COMMENT ON COLUMN public.users.email IS 'Canonical form: NFKC, lower case, the domain in its ASCII (IDNA) form.';

COMMENT ON COLUMN public.users.password_hash IS 'bcrypt over base64(HMAC-SHA-384(pepper, password)); never leaves this row.';

ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_records
    ADD CONSTRAINT idempotency_records_pkey PRIMARY KEY (caller_id, key);

ALTER TABLE ONLY public.login_failures
    ADD CONSTRAINT login_failures_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.spent_refresh_tokens
    ADD CONSTRAINT spent_refresh_tokens_pkey PRIMARY KEY (user_id, session_id, token_hash);

ALTER TABLE ONLY public.task_statuses
    ADD CONSTRAINT task_statuses_pkey PRIMARY KEY (status);

ALTER TABLE ONLY public.task_statuses
    ADD CONSTRAINT task_statuses_position_key UNIQUE ("position");

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (user_id, id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE UNIQUE INDEX clients_name_key ON public.clients USING btree (name) WHERE (revoked_at IS NULL);

CREATE INDEX idempotency_records_expires_at_idx ON public.idempotency_records USING btree (expires_at);

CREATE INDEX idempotency_records_user_id_idx ON public.idempotency_records USING btree (user_id);

CREATE INDEX login_failures_expires_at_idx ON public.login_failures USING btree (expires_at);

CREATE INDEX revocations_created_at_id_idx ON public.revocations USING btree (created_at, id);

CREATE INDEX revocations_expires_at_idx ON public.revocations USING btree (expires_at);

CREATE INDEX sessions_expires_at_idx ON public.sessions USING btree (expires_at);

CREATE INDEX spent_refresh_tokens_expires_at_idx ON public.spent_refresh_tokens USING btree (expires_at);

CREATE INDEX tasks_user_id_created_at_id_idx ON public.tasks USING btree (user_id, created_at DESC, id DESC);

CREATE INDEX tasks_user_id_status_created_at_id_idx ON public.tasks USING btree (user_id, status, created_at DESC, id DESC);

CREATE TRIGGER clients_revoke AFTER UPDATE ON public.clients FOR EACH ROW WHEN (((old.revoked_at IS NULL) AND (new.revoked_at IS NOT NULL))) EXECUTE FUNCTION public.clients_after_revocation();

CREATE TRIGGER clients_revoke_deleted AFTER DELETE ON public.clients FOR EACH ROW EXECUTE FUNCTION public.clients_after_revocation();

CREATE TRIGGER clients_set_updated_at BEFORE UPDATE ON public.clients FOR EACH ROW EXECUTE FUNCTION public.clients_before_update();

CREATE TRIGGER revocations_announce AFTER INSERT ON public.revocations FOR EACH ROW EXECUTE FUNCTION public.revocations_after_insert();

CREATE TRIGGER sessions_revoke AFTER DELETE ON public.sessions FOR EACH ROW WHEN ((old.access_expires_at > now())) EXECUTE FUNCTION public.sessions_after_delete();

CREATE TRIGGER tasks_set_completed_at BEFORE INSERT ON public.tasks FOR EACH ROW EXECUTE FUNCTION public.tasks_before_insert();

CREATE TRIGGER tasks_set_updated_at BEFORE UPDATE ON public.tasks FOR EACH ROW EXECUTE FUNCTION public.tasks_before_update();

CREATE TRIGGER users_set_updated_at BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.users_before_update();

ALTER TABLE ONLY public.idempotency_records
    ADD CONSTRAINT idempotency_records_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.spent_refresh_tokens
    ADD CONSTRAINT spent_refresh_tokens_session_fkey FOREIGN KEY (user_id, session_id) REFERENCES public.sessions(user_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_status_fkey FOREIGN KEY (status) REFERENCES public.task_statuses(status);

COMMENT ON CONSTRAINT tasks_status_fkey ON public.tasks IS 'No index supports it: a status in use is never deleted or renamed.';

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

GRANT SELECT ON TABLE public.clients TO task_app;

GRANT SELECT(id) ON TABLE public.clients TO task_readonly;

GRANT INSERT(name) ON TABLE public.clients TO task_app;
GRANT SELECT(name) ON TABLE public.clients TO task_readonly;

GRANT INSERT(scopes) ON TABLE public.clients TO task_app;
GRANT SELECT(scopes) ON TABLE public.clients TO task_readonly;

GRANT INSERT(secret_hash),UPDATE(secret_hash) ON TABLE public.clients TO task_app;

GRANT UPDATE(previous_secret_hash) ON TABLE public.clients TO task_app;

GRANT UPDATE(previous_secret_expires_at) ON TABLE public.clients TO task_app;
GRANT SELECT(previous_secret_expires_at) ON TABLE public.clients TO task_readonly;

GRANT SELECT(created_at) ON TABLE public.clients TO task_readonly;

GRANT SELECT(updated_at) ON TABLE public.clients TO task_readonly;

GRANT UPDATE(revoked_at) ON TABLE public.clients TO task_app;
GRANT SELECT(revoked_at) ON TABLE public.clients TO task_readonly;

GRANT SELECT,DELETE ON TABLE public.idempotency_records TO task_app;

GRANT INSERT(caller_id) ON TABLE public.idempotency_records TO task_app;
GRANT SELECT(caller_id) ON TABLE public.idempotency_records TO task_readonly;

GRANT INSERT(key) ON TABLE public.idempotency_records TO task_app;

GRANT INSERT(user_id),UPDATE(user_id) ON TABLE public.idempotency_records TO task_app;
GRANT SELECT(user_id) ON TABLE public.idempotency_records TO task_readonly;

GRANT INSERT(fingerprint),UPDATE(fingerprint) ON TABLE public.idempotency_records TO task_app;

GRANT INSERT(status),UPDATE(status) ON TABLE public.idempotency_records TO task_app;
GRANT SELECT(status) ON TABLE public.idempotency_records TO task_readonly;

GRANT INSERT(location),UPDATE(location) ON TABLE public.idempotency_records TO task_app;

GRANT INSERT(etag),UPDATE(etag) ON TABLE public.idempotency_records TO task_app;

GRANT INSERT(body),UPDATE(body) ON TABLE public.idempotency_records TO task_app;

GRANT UPDATE(expires_at) ON TABLE public.idempotency_records TO task_app;
GRANT SELECT(expires_at) ON TABLE public.idempotency_records TO task_readonly;

GRANT SELECT,DELETE ON TABLE public.login_failures TO task_app;

GRANT INSERT(subject) ON TABLE public.login_failures TO task_app;

GRANT UPDATE(failures) ON TABLE public.login_failures TO task_app;
GRANT SELECT(failures) ON TABLE public.login_failures TO task_readonly;

GRANT UPDATE(expires_at) ON TABLE public.login_failures TO task_app;
GRANT SELECT(expires_at) ON TABLE public.login_failures TO task_readonly;

GRANT SELECT,DELETE ON TABLE public.revocations TO task_app;
GRANT SELECT ON TABLE public.revocations TO task_readonly;

GRANT INSERT(id) ON TABLE public.revocations TO task_app;

GRANT INSERT(expires_at),UPDATE(expires_at) ON TABLE public.revocations TO task_app;

GRANT SELECT,DELETE ON TABLE public.sessions TO task_app;

GRANT INSERT(user_id) ON TABLE public.sessions TO task_app;
GRANT SELECT(user_id) ON TABLE public.sessions TO task_readonly;

GRANT INSERT(id) ON TABLE public.sessions TO task_app;
GRANT SELECT(id) ON TABLE public.sessions TO task_readonly;

GRANT INSERT(token_hash),UPDATE(token_hash) ON TABLE public.sessions TO task_app;

GRANT UPDATE(successor_salt) ON TABLE public.sessions TO task_app;

GRANT INSERT(expires_at),UPDATE(expires_at) ON TABLE public.sessions TO task_app;
GRANT SELECT(expires_at) ON TABLE public.sessions TO task_readonly;

GRANT INSERT(access_expires_at),UPDATE(access_expires_at) ON TABLE public.sessions TO task_app;
GRANT SELECT(access_expires_at) ON TABLE public.sessions TO task_readonly;

GRANT SELECT(created_at) ON TABLE public.sessions TO task_readonly;

GRANT SELECT,DELETE ON TABLE public.spent_refresh_tokens TO task_app;

GRANT INSERT(user_id) ON TABLE public.spent_refresh_tokens TO task_app;
GRANT SELECT(user_id) ON TABLE public.spent_refresh_tokens TO task_readonly;

GRANT INSERT(session_id) ON TABLE public.spent_refresh_tokens TO task_app;
GRANT SELECT(session_id) ON TABLE public.spent_refresh_tokens TO task_readonly;

GRANT INSERT(token_hash) ON TABLE public.spent_refresh_tokens TO task_app;

GRANT SELECT(spent_at) ON TABLE public.spent_refresh_tokens TO task_readonly;

GRANT INSERT(expires_at),UPDATE(expires_at) ON TABLE public.spent_refresh_tokens TO task_app;
GRANT SELECT(expires_at) ON TABLE public.spent_refresh_tokens TO task_readonly;

GRANT SELECT ON TABLE public.task_statuses TO task_app;
GRANT SELECT ON TABLE public.task_statuses TO task_readonly;

GRANT SELECT,DELETE ON TABLE public.tasks TO task_app;
GRANT SELECT ON TABLE public.tasks TO task_readonly;

GRANT INSERT(user_id) ON TABLE public.tasks TO task_app;

GRANT INSERT(title),UPDATE(title) ON TABLE public.tasks TO task_app;

GRANT INSERT(description),UPDATE(description) ON TABLE public.tasks TO task_app;

GRANT INSERT(status),UPDATE(status) ON TABLE public.tasks TO task_app;

GRANT SELECT,DELETE ON TABLE public.users TO task_app;

GRANT SELECT(id) ON TABLE public.users TO task_readonly;

GRANT INSERT(email) ON TABLE public.users TO task_app;
GRANT SELECT(email) ON TABLE public.users TO task_readonly;

GRANT INSERT(password_hash),UPDATE(password_hash) ON TABLE public.users TO task_app;

GRANT SELECT(created_at) ON TABLE public.users TO task_readonly;

GRANT SELECT(updated_at) ON TABLE public.users TO task_readonly;
