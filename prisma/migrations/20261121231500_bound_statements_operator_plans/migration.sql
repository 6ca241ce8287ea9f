-- A request's statements take milliseconds; one that does not must not hold locks or a connection for ever.
ALTER ROLE atoll_app SET statement_timeout = '15s';
ALTER ROLE atoll_app SET idle_in_transaction_session_timeout = '30s';

-- FORCE binds the owner too, unless it is a superuser. Changing plans is the one thing operators do as the owner.
CREATE POLICY "operator_read" ON "users" FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY "operator_update" ON "users" FOR UPDATE TO CURRENT_USER USING (true) WITH CHECK (true);
