-- Sign-ins of all users that ended since a time: the host that refuses them may have been away when they did. Ids only.
CREATE FUNCTION "ended_auth_sessions"(p_since timestamptz)
  RETURNS TABLE ("id" uuid, "user_id" uuid)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT s.id, s.user_id FROM public.auth_sessions s WHERE s.revoked_at >= p_since ORDER BY s.revoked_at, s.id
  $$;

GRANT SELECT ("id", "user_id", "revoked_at") ON "auth_sessions" TO atoll_auth;
CREATE POLICY "lookup" ON "auth_sessions" FOR SELECT TO atoll_auth USING (true);

REVOKE ALL ON FUNCTION "ended_auth_sessions"(timestamptz) FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO atoll_auth;
ALTER FUNCTION "ended_auth_sessions"(timestamptz) OWNER TO atoll_auth;
REVOKE CREATE ON SCHEMA public FROM atoll_auth;
GRANT EXECUTE ON FUNCTION "ended_auth_sessions"(timestamptz) TO atoll_app;
