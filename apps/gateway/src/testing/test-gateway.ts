import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "@atoll/base/clock";
import pino from "pino";
import { type RunningGateway, startGateway } from "../start-gateway.ts";
import { TicketVerifier } from "../tickets/ticket-verifier.ts";
import { HostdStandIn } from "./hostd-stand-in.ts";
import { TicketOffice } from "./ticket-office.ts";

export const WEB_ORIGIN = "http://localhost:3000";

export interface TestGateway extends AsyncDisposable {
  gateway: RunningGateway;
  hostd: HostdStandIn;
  office: TicketOffice;
  directory: string;
  /** What it logged, parsed. */
  logged: Array<Record<string, unknown>>;
}

/** A gateway on free ports with a stand-in for hostd. */
export async function testGateway(
  options: { clock?: Clock; socketLimits?: { total: number; perUser: number } } = {},
): Promise<TestGateway> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-gateway-"));
  const hostd = await HostdStandIn.listen(join(directory, "link.sock"));
  const office = new TicketOffice();
  const clock = options.clock ?? systemClock;
  const logged: Array<Record<string, unknown>> = [];
  const gateway = await startGateway({
    gatewayPort: 0,
    previewPort: 0,
    webUrl: new URL(WEB_ORIGIN),
    previewDomain: "preview.localhost",
    linkSocketPath: hostd.path,
    dataDirectory: directory,
    tickets: new TicketVerifier({ key: office.publicKey, clock }),
    clock,
    log: pino({ level: "debug" }, { write: (line) => void logged.push(JSON.parse(line)) }),
    giveUp: () => {},
    ...(options.socketLimits && { socketLimits: options.socketLimits }),
  });
  return {
    gateway,
    hostd,
    office,
    directory,
    logged,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await hostd[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
