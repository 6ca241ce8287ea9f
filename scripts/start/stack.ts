import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Scope } from "@atoll/base/scope";
import { hostHealth } from "@atoll/protocol/hostd-api";
import type { z } from "zod";
import type { Progress } from "../bootstrap/progress.mjs";
import { provideDatabase } from "./database.ts";
import type { StartEnv } from "./env.ts";
import { getJson } from "./get-json.ts";
import { type Layout, makeLayout } from "./layout.ts";
import { assertPortFree } from "./port-owner.ts";
import { provideSecrets } from "./secrets.ts";
import { Service } from "./service.ts";
import { type ServiceName, type ServicePlan, servicePlans } from "./service-plans.ts";
import { ServiceRecords } from "./service-records.ts";

/**
 * The whole of Atoll on one machine: database, hostd, gateway, web, in this order, each healthy before the next.
 * Used by `npm start` and by the end-to-end tests, which give it a data directory of their own. Everything that is
 * built must be there already (prepare.ts).
 */
export interface StackOptions {
  env: StartEnv;
  progress: Progress;
  signal: AbortSignal;
  /** False only for tests: a crash of the database may then lose everything. */
  durableDatabase?: boolean;
  onNote?: (text: string) => void;
  /** For tests that end services over and over: a killed one is started again at once, every time. */
  quickRestarts?: boolean;
}

export type HostHealth = z.infer<typeof hostHealth>;

export interface Stack {
  webUrl: string;
  previewPort: number;
  /** Owner of the database: for operators' commands and for tests that look past row-level security. */
  databaseOwnerUrl: string;
  layout: Layout;
  health(signal: AbortSignal): Promise<HostHealth>;
  /** Process ids by name, for tests that end them. A restarted service has a new one. */
  pids(): Record<ServiceName | "postgres", number | undefined>;
  /** Web and gateway first, then hostd, which pauses every machine, then the database. `hurry` cuts it short. */
  stop(hurry?: AbortSignal): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const QUICK_RESTART_MS = 500;
const STOP_TIMEOUT_MS = 10_000;
/** One machine takes seconds to seal under emulation; a full host has many. */
const PAUSE_TIMEOUT_MS = 300_000;
const HURRIED_PAUSE_MS = 10_000;
const PAUSE_REPORT_INTERVAL_MS = 1_000;

export async function startStack(options: StackOptions): Promise<Stack> {
  const { env, progress, signal } = options;
  const onNote = options.onNote ?? ((text: string) => progress.note(text));
  const layout = makeLayout(env.dataDirectory);
  const secrets = await provideSecrets(layout.secrets);
  const records = new ServiceRecords(join(layout.run, "services.json"));
  const scope = new Scope();
  const hurried = new AbortController();
  const stop = async (hurry?: AbortSignal) => {
    if (hurry?.aborted) hurried.abort();
    hurry?.addEventListener("abort", () => hurried.abort(), { once: true });
    await scope.close();
  };
  const health = async (until: AbortSignal) =>
    hostHealth.parse(await getJson({ socketPath: layout.hostdSocket, path: "/healthz" }, until));

  try {
    await progress.step("Ports", async (report) => {
      await records.endLeftovers(report);
      await assertPortFree(env.ports.web, "ATOLL_WEB_PORT");
      await assertPortFree(env.ports.gateway, "ATOLL_GATEWAY_PORT");
      await assertPortFree(env.ports.preview, "ATOLL_PREVIEW_PORT");
      return `web ${env.ports.web}, gateway ${env.ports.gateway}, previews ${env.ports.preview}`;
    });
    let databaseUrls = { appUrl: "", ownerUrl: "" };
    let databasePid: () => number | undefined = () => undefined;
    await progress.step("Database", async (report) => {
      const { databaseOwnerUrl: ownerUrl, nativeSchemaEngine } = env;
      const durable = options.durableDatabase ?? true;
      const database = await provideDatabase({
        layout,
        secrets,
        ownerUrl,
        nativeSchemaEngine,
        durable,
        signal,
        report,
        onNote,
      });
      scope.defer(() => progress.step("Stop the database", () => database.stop()));
      databaseUrls = database;
      databasePid = database.pid;
      // For operators' commands on this machine; gone when Atoll is not running.
      const urlFile = join(layout.run, "database-owner-url");
      writeFileSync(urlFile, database.ownerUrl, { mode: 0o600 });
      scope.defer(() => rmSync(urlFile, { force: true }));
      return database.migrated > 0 ? `${database.migrated} migrations applied` : "up to date";
    });

    const services = new Map<ServiceName, Service>();
    const start = (plan: ServicePlan) => {
      const service = new Service({
        ...plan,
        log: join(layout.logs, `${plan.name}.log`),
        startTimeoutMs: START_TIMEOUT_MS,
        ...(options.quickRestarts ? { longestRestartDelayMs: QUICK_RESTART_MS } : {}),
        onNote,
        onProcess: (identity) => records.set(plan.name, identity),
      });
      services.set(plan.name, service);
      scope.defer(() => stopService(service, { progress, hurry: hurried.signal, health }));
      return service.start(signal);
    };
    const webUrl = `http://localhost:${env.ports.web}`;
    const plans = servicePlans({ env, layout, secrets, webUrl, databaseUrl: databaseUrls.appUrl, health });
    await progress.step("hostd", () => start(plans.hostd));
    await progress.step("gateway and web", () => Promise.all([start(plans.gateway), start(plans.web)]));
    return {
      webUrl,
      previewPort: env.ports.preview,
      databaseOwnerUrl: databaseUrls.ownerUrl,
      layout,
      health,
      pids: () => ({
        hostd: services.get("hostd")?.pid,
        gateway: services.get("gateway")?.pid,
        web: services.get("web")?.pid,
        postgres: databasePid(),
      }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface StopOptions {
  progress: Progress;
  hurry: AbortSignal;
  health: (signal: AbortSignal) => Promise<HostHealth>;
}

async function stopService(service: Service, { progress, hurry, health }: StopOptions): Promise<void> {
  if (service.name !== "hostd") {
    await progress.step(`Stop ${service.name}`, () => service.stop(STOP_TIMEOUT_MS, hurry));
    return;
  }
  await progress.step("Pause the machines and stop hostd", async (report) => {
    const watch = setInterval(() => {
      health(AbortSignal.timeout(PAUSE_REPORT_INTERVAL_MS)).then(
        ({ runningCount }) => report(`${runningCount} still running`),
        () => {},
      );
    }, PAUSE_REPORT_INTERVAL_MS);
    const giveUp = new AbortController();
    // Hurried, hostd still gets a moment; machines it cannot pause go on running and are adopted by the next start.
    const shorten = () => setTimeout(() => giveUp.abort(), HURRIED_PAUSE_MS).unref();
    if (hurry.aborted) shorten();
    else hurry.addEventListener("abort", shorten, { once: true });
    try {
      await service.stop(PAUSE_TIMEOUT_MS, giveUp.signal);
    } finally {
      clearInterval(watch);
    }
  });
}
