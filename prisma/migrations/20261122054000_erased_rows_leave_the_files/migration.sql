-- A deleted row stays readable in the server's files: in its page until something else is written there, in an index, in the
-- log of changes until its segments are removed. So after an erasure the tables that hold what people typed are written
-- anew and the log is cut off.
ALTER TABLE "tombstones" ADD COLUMN "forgotten_at" TIMESTAMPTZ(3);

-- Statistics of a column hold samples of it, which outlive the rows. These are only ever looked up by an index.
ALTER TABLE "users" ALTER COLUMN "email" SET STATISTICS 0, ALTER COLUMN "name" SET STATISTICS 0,
  ALTER COLUMN "password_hash" SET STATISTICS 0;
ALTER TABLE "accounts" ALTER COLUMN "provider_account_id" SET STATISTICS 0;
ALTER TABLE "auth_sessions" ALTER COLUMN "user_agent" SET STATISTICS 0;
ALTER TABLE "workspaces" ALTER COLUMN "name" SET STATISTICS 0, ALTER COLUMN "slug" SET STATISTICS 0;
ALTER TABLE "templates" ALTER COLUMN "name" SET STATISTICS 0;
DO $$ BEGIN
  DELETE FROM pg_statistic WHERE starelid IN ('users'::regclass, 'accounts'::regclass, 'auth_sessions'::regclass,
    'workspaces'::regclass, 'templates'::regclass);
EXCEPTION WHEN insufficient_privilege THEN NULL;
END $$;

-- FORCE binds the owner too, unless it is a superuser.
CREATE POLICY "owner_read" ON "tombstones" FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY "owner_update" ON "tombstones" FOR UPDATE TO CURRENT_USER USING (true) WITH CHECK (true);

-- What is erased and still in the files; `forgotten` of them no longer are. Rows that an open transaction may still see stay:
-- the next call takes them. Locks the tables against everybody for as long as writing them takes.
CREATE FUNCTION "forget_erased_rows"() RETURNS TABLE ("waiting" integer, "forgotten" integer)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
  DECLARE
    oldest_snapshot_age integer;
  BEGIN
    SELECT count(*) INTO waiting FROM public.tombstones t WHERE t.completed_at > coalesce(t.forgotten_at, '-infinity');
    -- An owner who is no superuser sees no session but its own; its snapshot still tells of transactions that write.
    SELECT greatest(max(age(a.backend_xmin)), age(pg_snapshot_xmin(pg_current_snapshot())::xid))
      INTO oldest_snapshot_age FROM pg_stat_activity a;
    -- The transaction that completed an erasure is the one that deleted its rows.
    SELECT count(*) INTO forgotten FROM public.tombstones t
      WHERE t.completed_at > coalesce(t.forgotten_at, '-infinity') AND age(t.xmin) > oldest_snapshot_age;
    IF forgotten > 0 THEN
      LOCK TABLE public.users, public.accounts, public.auth_sessions, public.workspaces, public.templates
        IN ACCESS EXCLUSIVE MODE;
      CLUSTER public.users USING users_pkey;
      CLUSTER public.accounts USING accounts_pkey;
      CLUSTER public.auth_sessions USING auth_sessions_pkey;
      CLUSTER public.workspaces USING workspaces_pkey;
      CLUSTER public.templates USING templates_pkey;
      UPDATE public.tombstones t SET forgotten_at = greatest(clock_timestamp(), t.completed_at)
        WHERE t.completed_at > coalesce(t.forgotten_at, '-infinity') AND age(t.xmin) > oldest_snapshot_age;
      -- Everything before the new segment is removed by the checkpoint, unless the server archives or recycles it.
      BEGIN
        PERFORM pg_switch_wal();
        CHECKPOINT;
      EXCEPTION WHEN insufficient_privilege THEN NULL;
      END;
    END IF;
    RETURN NEXT;
  END $$;
REVOKE ALL ON FUNCTION "forget_erased_rows"() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION "forget_erased_rows"() TO atoll_app;
