import { ManualClock } from "@atoll/base/manual-clock";
import { Connection, type ConnectionOptions } from "../connection/connection.ts";
import { FakeHost } from "./fake-host.ts";

/** A connection to a scripted host that is up. `prepare` adds what its machine answers. */
export async function linked(
  prepare: (host: FakeHost) => void,
  purpose: NonNullable<ConnectionOptions["purpose"]> = "workspace",
): Promise<{ host: FakeHost; connection: Connection }> {
  const host = new FakeHost();
  prepare(host);
  const connection = new Connection({
    openTransport: host.openTransport,
    fetchTicket: async () => "ticket",
    tabId: "00000000-0000-4000-8000-000000000001",
    purpose,
    clock: new ManualClock(),
    random: () => 0.5,
  });
  connection.start();
  await host.accepts();
  return { host, connection };
}
