/**
 * What exists once per process. Next evaluates modules once per bundle (pages, routes, proxy), so the one
 * instance hangs on `globalThis`. The only place that constructs adapters.
 */

import { systemClock } from "@atoll/base/clock";
import { createDb, type Db } from "@atoll/db/create-db";
import { env } from "#env.ts";
import { RateLimiter } from "./auth/rate-limiter.ts";
import { EndedSignIns } from "./hosts/ended-sign-ins.ts";
import { HostdClient } from "./hosts/hostd-client.ts";
import { StatusFeed } from "./hosts/status-feed.ts";
import { StatusStore } from "./hosts/status-store.ts";
import { log } from "./log.ts";
import { ReceiptIssuer } from "./receipts/receipt-issuer.ts";
import { TicketIssuer } from "./tickets/ticket-issuer.ts";

export interface WebProcess {
  db: Db;
  hostd: HostdClient;
  endedSignIns: EndedSignIns;
  statuses: StatusFeed;
  tickets: TicketIssuer;
  receipts: ReceiptIssuer;
  limits: { accountFailures: RateLimiter; addressFailures: RateLimiter; signUps: RateLimiter };
}

const MINUTE_MS = 60_000;
const holder = globalThis as typeof globalThis & { atollWebProcess?: WebProcess };

export function webProcess(): WebProcess {
  holder.atollWebProcess ??= create();
  return holder.atollWebProcess;
}

function create(): WebProcess {
  const { databaseUrl, hostdSocket, ticketPrivateKeyFile, receiptKeyFiles, webUrl, backupHorizonDays } =
    env();
  const db = createDb({ url: databaseUrl });
  const hostd = new HostdClient({ socketPath: hostdSocket });
  const stored = new StatusStore(db);
  stored.onDidFail = (workspaceId, err) => log().warn({ workspaceId, err }, "state not stored");
  const statuses = new StatusFeed({ hostd, clock: systemClock, onChange: (status) => stored.store(status) });
  statuses.onDidFail = (error) => log().warn({ code: error.code }, "hostd events interrupted");
  statuses.start();
  const limiter = (capacity: number, windowMs: number) =>
    new RateLimiter({ capacity, windowMs, maxKeys: 10_000, clock: systemClock });
  return {
    db,
    hostd,
    endedSignIns: new EndedSignIns({ db, hostd, clock: systemClock }),
    statuses,
    tickets: new TicketIssuer({ privateKeyFile: ticketPrivateKeyFile }),
    receipts: new ReceiptIssuer({
      ...receiptKeyFiles,
      origin: webUrl.origin,
      backupHorizonDays,
      clock: systemClock,
    }),
    limits: {
      accountFailures: limiter(10, 15 * MINUTE_MS),
      addressFailures: limiter(60, 15 * MINUTE_MS),
      signUps: limiter(100, 60 * MINUTE_MS),
    },
  };
}
