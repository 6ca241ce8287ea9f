import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { ManualClock } from "@atoll/base/manual-clock";
import { Scope } from "@atoll/base/scope";
import { expect, it } from "vitest";
import { VsockCall } from "./vsock-call.ts";

async function listening(scope: Scope): Promise<{ call: VsockCall; port: string }> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-vsock-"));
  scope.defer(() => rm(directory, { recursive: true }));
  const socketPath = join(directory, "v.sock");
  return { call: scope.own(await VsockCall.listen(socketPath)), port: `${socketPath}_1025` };
}

it("knows of a guest's call, whoever asks before or after it", async () => {
  await using scope = new Scope();
  const { call, port } = await listening(scope);
  const before = call.arrived({ timeoutMs: 60_000, clock: systemClock });
  const guest = connect(port);
  await once(guest, "close");
  await before;
  await call.arrived({ timeoutMs: 60_000, clock: systemClock });
});

it("gives a guest up that does not call", async () => {
  await using scope = new Scope();
  const { call } = await listening(scope);
  const clock = new ManualClock();
  const waiting = call.arrived({ timeoutMs: 5000, clock });
  clock.advance(5000);
  await expect(waiting).rejects.toMatchObject({ code: "link.lost" });
});
