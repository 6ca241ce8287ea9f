-- Where a workspace begins, kept so that a create which never reached its host begins there when it is repeated,
-- and never silently empty. And when a disposable one ends.
ALTER TABLE "workspaces" ADD COLUMN "origin" JSONB, ADD COLUMN "expires_at" TIMESTAMPTZ(3);

-- A template's data is its host's; here are its name and who may use it.
CREATE TABLE "templates" (
  "id" UUID NOT NULL,
  "owner_id" UUID NOT NULL,
  "name" TEXT NOT NULL,
  "source_workspace_id" UUID NOT NULL,
  "checkpoint_id" UUID NOT NULL,
  "image" TEXT NOT NULL,
  "cpus" INTEGER NOT NULL,
  "memory_mb" INTEGER NOT NULL,
  "disk_mb" INTEGER NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "published_at" TIMESTAMPTZ(3),
  "deleted_at" TIMESTAMPTZ(3),
  CONSTRAINT "templates_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "templates_name_length" CHECK (length("name") BETWEEN 1 AND 80),
  CONSTRAINT "templates_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "templates_owner_id_created_at_idx" ON "templates"("owner_id", "created_at");

GRANT SELECT, INSERT, DELETE, UPDATE ("name", "published_at", "deleted_at") ON "templates" TO atoll_app;
ALTER TABLE "templates" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "templates" FORCE ROW LEVEL SECURITY;
CREATE POLICY "own_rows" ON "templates" TO atoll_app
  USING ("owner_id" = "current_tenant"()) WITH CHECK ("owner_id" = "current_tenant"());
-- Published to everyone who has signed in; whoever is nobody sees none.
CREATE POLICY "published_read" ON "templates" FOR SELECT TO atoll_app
  USING ("current_tenant"() IS NOT NULL AND "published_at" IS NOT NULL AND "deleted_at" IS NULL);
