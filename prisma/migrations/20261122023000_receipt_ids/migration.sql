-- The receipt of an erasure has its address from the request on, so that whoever asked can wait for it there.
ALTER TABLE "tombstones" ADD COLUMN "receipt_id" UUID NOT NULL DEFAULT gen_random_uuid();
CREATE UNIQUE INDEX "tombstones_receipt_id_key" ON "tombstones"("receipt_id");

DROP FUNCTION "list_tombstones"(boolean);
CREATE FUNCTION "list_tombstones"(p_only_pending boolean)
  RETURNS TABLE ("kind" text, "subject_id" uuid, "tenant_id" uuid, "requested_at" timestamptz, "completed_at" timestamptz,
    "receipt_id" uuid)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT t.kind::text, t.subject_id, t.tenant_id, t.requested_at, t.completed_at, t.receipt_id FROM public.tombstones t
    WHERE NOT p_only_pending OR t.completed_at IS NULL ORDER BY t.requested_at, t.subject_id
  $$;

-- For the page behind a receipt's address while there is no receipt yet: it says what is waited for, not of whom.
CREATE FUNCTION "erasure_by_receipt"(p_receipt_id uuid)
  RETURNS TABLE ("kind" text, "requested_at" timestamptz, "completed_at" timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT t.kind::text, t.requested_at, t.completed_at FROM public.tombstones t WHERE t.receipt_id = p_receipt_id $$;

-- Rows that a restored backup may have brought back: whose workspace is it, so that it can be deleted again.
CREATE FUNCTION "workspace_owner"(p_id uuid) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT w.owner_id FROM public.workspaces w WHERE w.id = p_id $$;

GRANT SELECT ON "workspaces" TO atoll_auth;
CREATE POLICY "lookup" ON "workspaces" FOR SELECT TO atoll_auth USING (true);

REVOKE ALL ON FUNCTION "list_tombstones"(boolean), "erasure_by_receipt"(uuid), "workspace_owner"(uuid) FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO atoll_auth;
ALTER FUNCTION "list_tombstones"(boolean) OWNER TO atoll_auth;
ALTER FUNCTION "erasure_by_receipt"(uuid) OWNER TO atoll_auth;
ALTER FUNCTION "workspace_owner"(uuid) OWNER TO atoll_auth;
REVOKE CREATE ON SCHEMA public FROM atoll_auth;
GRANT EXECUTE ON FUNCTION "list_tombstones"(boolean), "erasure_by_receipt"(uuid), "workspace_owner"(uuid) TO atoll_app;
