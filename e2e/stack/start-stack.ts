import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Scope } from "@atoll/base/scope";
import { Progress } from "../../scripts/bootstrap/progress.mjs";
import { readEnv } from "../../scripts/start/env.ts";
import { freePort } from "../../scripts/start/free-port.ts";
import { prepare } from "../../scripts/start/prepare.ts";
import { startStack } from "../../scripts/start/stack.ts";
import { startOidcProvider } from "./oidc-provider.ts";
import { publishStack } from "./running-stack.ts";

/** Longer than a journey waits for anything without touching the page. */
const IDLE_PAUSE_SECONDS = 30;
/** Long enough to come back within it, short enough that a journey sees what is sealed. */
const PAUSE_GRACE_SECONDS = 2;

/** Starts the stack on a data directory of its own and returns what ends it. */
export default async function start(): Promise<() => Promise<void>> {
  const scope = new Scope();
  try {
    const dataDirectory = await mkdtemp(join(tmpdir(), "atoll-e2e-"));
    scope.defer(() => rm(dataDirectory, { recursive: true, force: true }));
    const [web, gateway, preview] = [await freePort(), await freePort(), await freePort()];
    const webUrl = `http://localhost:${web}`;
    const oidc = await startOidcProvider(scope, webUrl);
    Object.assign(process.env, oidc.webEnvironment, {
      ATOLL_PAUSE_GRACE_SECONDS: String(PAUSE_GRACE_SECONDS),
    });
    const env = readEnv({
      ...oidc.webEnvironment,
      ATOLL_DATA: dataDirectory,
      ATOLL_CACHE: process.env.ATOLL_CACHE ?? resolve(import.meta.dirname, "../../.data/cache"),
      ATOLL_WEB_PORT: String(web),
      ATOLL_GATEWAY_PORT: String(gateway),
      ATOLL_PREVIEW_PORT: String(preview),
      ATOLL_IDLE_PAUSE_SECONDS: String(IDLE_PAUSE_SECONDS),
    });
    const progress = new Progress(process.stderr);
    const { signal } = scope;
    if (process.env.ATOLL_PREPARED !== "1") {
      const logs = join(dataDirectory, "logs");
      await prepare({ cacheDirectory: env.cacheDirectory, logs, progress, signal });
    }
    const stack = await startStack({
      env,
      progress,
      signal: new AbortController().signal,
      durableDatabase: false,
    });
    scope.defer(() => stack.stop());
    publishStack({
      webUrl: stack.webUrl,
      previewPort: preview,
      gatewayPort: gateway,
      dataDirectory,
      cacheDirectory: env.cacheDirectory,
      databaseOwnerUrl: stack.databaseOwnerUrl,
      hostdSocket: stack.layout.hostdSocket,
      oidcIssuer: oidc.issuer,
      idlePauseSeconds: IDLE_PAUSE_SECONDS,
    });
    return () => scope.close();
  } catch (error) {
    await scope.close();
    throw error;
  }
}
