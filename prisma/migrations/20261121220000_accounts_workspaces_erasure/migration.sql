-- Two roles, neither of them an owner of anything but two lookup functions:
--   atoll_app  the web app's login. Sees and writes only rows of the tenant named by the transaction-local
--              setting app.user_id; without the setting it sees nothing.
--   atoll_auth cannot log in. Runs the few functions at the end, which answer before a user is known.
-- Roles belong to the server, not to one database: another database may have made them at the same moment.
DO $$ BEGIN
  CREATE ROLE atoll_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
  CREATE ROLE atoll_auth NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

CREATE TYPE "plan" AS ENUM ('free', 'pro', 'team', 'enterprise');
CREATE TYPE "role" AS ENUM ('user', 'operator');
CREATE TYPE "egress_preset" AS ENUM ('off', 'packages', 'open');
CREATE TYPE "tombstone_kind" AS ENUM ('workspace', 'account');
CREATE TYPE "audit_outcome" AS ENUM ('ok', 'denied', 'failed');

CREATE TABLE "users" (
  "id" UUID NOT NULL,
  "email" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "password_hash" TEXT,
  "plan" "plan" NOT NULL DEFAULT 'free',
  "role" "role" NOT NULL DEFAULT 'user',
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "users_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "users_email_normal" CHECK ("email" = lower(btrim("email")) AND length("email") BETWEEN 3 AND 254),
  CONSTRAINT "users_name_length" CHECK (length("name") BETWEEN 1 AND 100)
);
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");

CREATE TABLE "accounts" (
  "provider" TEXT NOT NULL,
  "provider_account_id" TEXT NOT NULL,
  "user_id" UUID NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "accounts_pkey" PRIMARY KEY ("provider", "provider_account_id"),
  CONSTRAINT "accounts_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "accounts_user_id_idx" ON "accounts"("user_id");

CREATE TABLE "auth_sessions" (
  "id" UUID NOT NULL,
  "user_id" UUID NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "expires_at" TIMESTAMPTZ(3) NOT NULL,
  "revoked_at" TIMESTAMPTZ(3),
  "user_agent" TEXT,
  CONSTRAINT "auth_sessions_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "auth_sessions_user_agent_length" CHECK (length("user_agent") <= 400),
  CONSTRAINT "auth_sessions_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "auth_sessions_user_id_created_at_idx" ON "auth_sessions"("user_id", "created_at");

CREATE TABLE "workspaces" (
  "id" UUID NOT NULL,
  "owner_id" UUID NOT NULL,
  "slug" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "image" TEXT NOT NULL,
  "cpus" INTEGER NOT NULL,
  "memory_mb" INTEGER NOT NULL,
  "disk_mb" INTEGER NOT NULL,
  "egress" "egress_preset" NOT NULL DEFAULT 'packages',
  "state" TEXT NOT NULL DEFAULT 'creating',
  "state_reason" TEXT,
  "state_since" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "generation" INTEGER NOT NULL DEFAULT 0,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "last_active_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "deleted_at" TIMESTAMPTZ(3),
  CONSTRAINT "workspaces_pkey" PRIMARY KEY ("id"),
  -- A host label: no dot, no leading or trailing hyphen, or a preview host could be confused with another.
  CONSTRAINT "workspaces_slug_label" CHECK ("slug" ~ '^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$'),
  CONSTRAINT "workspaces_name_length" CHECK (length("name") BETWEEN 1 AND 80),
  CONSTRAINT "workspaces_size_positive" CHECK ("cpus" > 0 AND "memory_mb" > 0 AND "disk_mb" > 0),
  CONSTRAINT "workspaces_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "workspaces_slug_key" ON "workspaces"("slug");
CREATE INDEX "workspaces_owner_id_created_at_idx" ON "workspaces"("owner_id", "created_at");

CREATE TABLE "tombstones" (
  "kind" "tombstone_kind" NOT NULL,
  "subject_id" UUID NOT NULL,
  "tenant_id" UUID NOT NULL,
  "requested_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "completed_at" TIMESTAMPTZ(3),
  CONSTRAINT "tombstones_pkey" PRIMARY KEY ("kind", "subject_id"),
  CONSTRAINT "tombstones_own_account" CHECK ("kind" <> 'account' OR "subject_id" = "tenant_id")
);
CREATE INDEX "tombstones_tenant_id_idx" ON "tombstones"("tenant_id");

CREATE TABLE "erasure_receipts" (
  "id" UUID NOT NULL,
  "user_hash" TEXT NOT NULL,
  "json" TEXT NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "erasure_receipts_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "erasure_receipts_user_hash_hex" CHECK ("user_hash" ~ '^[0-9a-f]{64}$')
);
CREATE INDEX "erasure_receipts_user_hash_idx" ON "erasure_receipts"("user_hash");

CREATE TABLE "audit_events" (
  "id" UUID NOT NULL,
  "tenant_id" UUID,
  "actor" TEXT NOT NULL,
  "action" TEXT NOT NULL,
  "target" TEXT,
  "outcome" "audit_outcome" NOT NULL,
  "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "detail" JSONB NOT NULL DEFAULT '{}',
  CONSTRAINT "audit_events_pkey" PRIMARY KEY ("id"),
  -- Hostile input ends up here; one event must not grow the log without bound.
  CONSTRAINT "audit_events_bounded" CHECK (
    length("actor") <= 300 AND length("action") <= 100 AND length("target") <= 300
    AND pg_column_size("detail") <= 8192
  )
);
CREATE INDEX "audit_events_tenant_id_at_idx" ON "audit_events"("tenant_id", "at");

-- Append-only also for the owner of the table, whom no grant binds.
CREATE FUNCTION "refuse_audit_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER "audit_events_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_events"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_audit_change"();

-- The tenant of this transaction, or null. A setting that was ever set reads '' on a pooled connection.
CREATE FUNCTION "current_tenant"() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT nullif(current_setting('app.user_id', true), '')::uuid $$;
CREATE FUNCTION "current_tenant_hash"() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT encode(sha256(convert_to("current_tenant"()::text, 'UTF8')), 'hex') $$;

-- Grants: what the app's statements need and no more. Plan and role have no UPDATE grant.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO atoll_app, atoll_auth;
GRANT SELECT, INSERT, DELETE, UPDATE ("name", "password_hash") ON "users" TO atoll_app;
GRANT SELECT, INSERT, DELETE ON "accounts" TO atoll_app;
GRANT SELECT, INSERT, DELETE, UPDATE ("revoked_at") ON "auth_sessions" TO atoll_app;
GRANT SELECT, INSERT, DELETE, UPDATE ("name", "egress", "state", "state_reason", "state_since", "generation", "last_active_at", "deleted_at")
  ON "workspaces" TO atoll_app;
GRANT SELECT, INSERT, UPDATE ("completed_at") ON "tombstones" TO atoll_app;
GRANT SELECT, INSERT ON "erasure_receipts" TO atoll_app;
GRANT SELECT, INSERT ON "audit_events" TO atoll_app;
GRANT SELECT ON "users", "accounts", "tombstones", "erasure_receipts" TO atoll_auth;

ALTER TABLE "users" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "users" FORCE ROW LEVEL SECURITY;
ALTER TABLE "accounts" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "accounts" FORCE ROW LEVEL SECURITY;
ALTER TABLE "auth_sessions" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "auth_sessions" FORCE ROW LEVEL SECURITY;
ALTER TABLE "workspaces" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "workspaces" FORCE ROW LEVEL SECURITY;
ALTER TABLE "tombstones" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "tombstones" FORCE ROW LEVEL SECURITY;
ALTER TABLE "erasure_receipts" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "erasure_receipts" FORCE ROW LEVEL SECURITY;
ALTER TABLE "audit_events" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "audit_events" FORCE ROW LEVEL SECURITY;

-- Signing up is inserting the row whose id is the transaction's tenant: no wider path is needed for it.
CREATE POLICY "own_read" ON "users" FOR SELECT TO atoll_app USING ("id" = "current_tenant"());
CREATE POLICY "own_insert" ON "users" FOR INSERT TO atoll_app
  WITH CHECK ("id" = "current_tenant"() AND "plan" = 'free' AND "role" = 'user');
CREATE POLICY "own_update" ON "users" FOR UPDATE TO atoll_app
  USING ("id" = "current_tenant"()) WITH CHECK ("id" = "current_tenant"());
CREATE POLICY "own_delete" ON "users" FOR DELETE TO atoll_app USING ("id" = "current_tenant"());
CREATE POLICY "own_rows" ON "accounts" TO atoll_app
  USING ("user_id" = "current_tenant"()) WITH CHECK ("user_id" = "current_tenant"());
CREATE POLICY "own_rows" ON "auth_sessions" TO atoll_app
  USING ("user_id" = "current_tenant"()) WITH CHECK ("user_id" = "current_tenant"());
CREATE POLICY "own_rows" ON "workspaces" TO atoll_app
  USING ("owner_id" = "current_tenant"()) WITH CHECK ("owner_id" = "current_tenant"());
CREATE POLICY "own_rows" ON "tombstones" TO atoll_app
  USING ("tenant_id" = "current_tenant"()) WITH CHECK ("tenant_id" = "current_tenant"());
CREATE POLICY "own_rows" ON "erasure_receipts" TO atoll_app
  USING ("user_hash" = "current_tenant_hash"()) WITH CHECK ("user_hash" = "current_tenant_hash"());
CREATE POLICY "own_read" ON "audit_events" FOR SELECT TO atoll_app USING ("tenant_id" = "current_tenant"());
-- An event without a tenant may be written by anyone and read by no tenant.
CREATE POLICY "own_insert" ON "audit_events" FOR INSERT TO atoll_app
  WITH CHECK ("tenant_id" = "current_tenant"() OR "tenant_id" IS NULL);

CREATE POLICY "lookup" ON "users" FOR SELECT TO atoll_auth USING (true);
CREATE POLICY "lookup" ON "accounts" FOR SELECT TO atoll_auth USING (true);
CREATE POLICY "lookup" ON "tombstones" FOR SELECT TO atoll_auth USING (true);
CREATE POLICY "lookup" ON "erasure_receipts" FOR SELECT TO atoll_auth USING (true);

-- The paths that run before a user is known. Each takes an exact key and returns at most that one row;
-- only the list of erasures, which holds nothing but ids and times, spans tenants.
CREATE FUNCTION "auth_user_by_email"(p_email text)
  RETURNS TABLE ("id" uuid, "email" text, "name" text, "password_hash" text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT u.id, u.email, u.name, u.password_hash FROM public.users u WHERE u.email = lower(btrim(p_email)) $$;

CREATE FUNCTION "auth_user_id_by_account"(p_provider text, p_provider_account_id text) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT a.user_id FROM public.accounts a
    WHERE a.provider = p_provider AND a.provider_account_id = p_provider_account_id
  $$;

CREATE FUNCTION "receipt_by_id"(p_id uuid) RETURNS TABLE ("json" text, "created_at" timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT r.json, r.created_at FROM public.erasure_receipts r WHERE r.id = p_id $$;

CREATE FUNCTION "list_tombstones"(p_only_pending boolean)
  RETURNS TABLE ("kind" text, "subject_id" uuid, "tenant_id" uuid, "requested_at" timestamptz, "completed_at" timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT t.kind::text, t.subject_id, t.tenant_id, t.requested_at, t.completed_at FROM public.tombstones t
    WHERE NOT p_only_pending OR t.completed_at IS NULL ORDER BY t.requested_at, t.subject_id
  $$;

REVOKE ALL ON FUNCTION "auth_user_by_email"(text), "auth_user_id_by_account"(text, text), "receipt_by_id"(uuid),
  "list_tombstones"(boolean) FROM PUBLIC;

-- Handing a function over needs membership and CREATE for the moment of the hand-over (unless superuser).
DO $$ BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT atoll_auth TO %I', current_user);
  END IF;
END $$;
GRANT CREATE ON SCHEMA public TO atoll_auth;
ALTER FUNCTION "auth_user_by_email"(text) OWNER TO atoll_auth;
ALTER FUNCTION "auth_user_id_by_account"(text, text) OWNER TO atoll_auth;
ALTER FUNCTION "receipt_by_id"(uuid) OWNER TO atoll_auth;
ALTER FUNCTION "list_tombstones"(boolean) OWNER TO atoll_auth;
REVOKE CREATE ON SCHEMA public FROM atoll_auth;
GRANT EXECUTE ON FUNCTION "auth_user_by_email"(text), "auth_user_id_by_account"(text, text), "receipt_by_id"(uuid),
  "list_tombstones"(boolean) TO atoll_app;
