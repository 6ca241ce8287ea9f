import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { readEnv } from "./env.ts";
import { makeLayout } from "./layout.ts";
import { provideSecrets } from "./secrets.ts";
import { servicePlans } from "./service-plans.ts";

afterEach(() => vi.unstubAllEnvs());

it("gives the database's login, signing keys and the provider's secret to web alone", async () => {
  const data = mkdtempSync(join(tmpdir(), "atoll-plans-"));
  try {
    const variables = { ATOLL_DATA: data, ATOLL_OIDC_CLIENT_SECRET: "of-the-provider" };
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    const layout = makeLayout(data);
    const secrets = await provideSecrets(layout.secrets);
    const databaseUrl = "postgresql://atoll_app:of-the-database@localhost/atoll";
    const plans = servicePlans({
      ...{ env: readEnv(variables), layout, secrets, databaseUrl },
      ...{ webUrl: "http://localhost:7700", health: async () => ({ ok: true }) },
    });
    const secret = [variables.ATOLL_OIDC_CLIENT_SECRET, databaseUrl, secrets.authSecret];
    const keys = [secrets.ticketPrivateKeyFile, secrets.receiptPrivateKeyFile];
    for (const value of [...secret, ...keys]) {
      expect(Object.values(plans.web.env)).toContain(value);
      for (const other of [plans.hostd, plans.gateway]) expect(Object.values(other.env)).not.toContain(value);
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});
