-- From the request of its erasure on nobody signs in to an account, also while its row is still there, or is there again
-- from a backup.
CREATE OR REPLACE FUNCTION "auth_user_by_email"(p_email text)
  RETURNS TABLE ("id" uuid, "email" text, "name" text, "password_hash" text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT u.id, u.email, u.name, u.password_hash FROM public.users u
    WHERE u.email = lower(btrim(p_email))
      AND NOT EXISTS (SELECT 1 FROM public.tombstones t WHERE t.kind = 'account' AND t.subject_id = u.id)
  $$;

CREATE OR REPLACE FUNCTION "auth_user_id_by_account"(p_provider text, p_provider_account_id text) RETURNS uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT a.user_id FROM public.accounts a
    WHERE a.provider = p_provider AND a.provider_account_id = p_provider_account_id
      AND NOT EXISTS (SELECT 1 FROM public.tombstones t WHERE t.kind = 'account' AND t.subject_id = a.user_id)
  $$;
