import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GuestProbe } from "../testing/guest-probe.ts";
import type { Hypervisor, LaunchSpec, Machine, MachineStart, TemplateFiles } from "./hypervisor.ts";

export interface ContractHost extends AsyncDisposable {
  hypervisor: Hypervisor;
  /** Another life of hostd on the same machine. */
  reopen(): Hypervisor;
  /** Over a fresh disk each time, except where the same name is asked for again. */
  spec(start: MachineStart, diskName: string): Promise<LaunchSpec>;
  /** Boots, lets `prepare` bring the guest where clones shall begin, and saves. */
  bake(prepare: (machine: Machine) => Promise<void>): Promise<TemplateFiles>;
}

/** A guest that counts up by one each time it is asked, in its memory only. Booting takes seconds on a real driver, so cases share a template. */
export function hypervisorContract(open: () => Promise<ContractHost>): void {
  const templateToken = randomBytes(32).toString("hex");
  let host: ContractHost;
  let template: TemplateFiles;

  beforeAll(async () => {
    host = await open();
    template = await host.bake(async (machine) => {
      const guest = await GuestProbe.start(machine, { reason: "boot", linkToken: templateToken });
      expect(await guest.count()).toBe(1);
      expect(await guest.count()).toBe(2);
      guest.close();
    });
  });
  afterAll(() => host?.[Symbol.asyncDispose]());

  const clone = async (name: string) =>
    host.hypervisor.launch(await host.spec({ kind: "template", template }, name));
  const startClone = (machine: Machine, linkToken?: string) =>
    GuestProbe.start(machine, { reason: "create", expectedToken: templateToken, linkToken });

  test("clones of one template go on from it, each on its own", async () => {
    await using first = await clone("first");
    await using second = await clone("second");
    const guests = [await startClone(first), await startClone(second)] as const;
    expect([await guests[0].count(), await guests[0].count(), await guests[1].count()]).toEqual([3, 4, 3]);
    expect(first.record.pid).not.toBe(second.record.pid);
    expect(first.record.uid).not.toBe(second.record.uid);
    for (const guest of guests) guest.close();
  });

  test("a stopped machine goes on where it was", async () => {
    await using machine = await clone("stopped");
    const guest = await startClone(machine);
    expect(await guest.count()).toBe(3);
    await machine.stop();
    const answer = guest.count();
    await machine.start();
    expect(await answer).toBe(4);
    guest.close();
  });

  test("saved state over its template brings the guest back, more than once over", async () => {
    const linkToken = randomBytes(32).toString("hex");
    let machine = await clone("saved");
    const guest = await startClone(machine, linkToken);
    expect(await guest.count()).toBe(3);
    guest.close();
    for (const expected of [4, 5]) {
      await machine.stop();
      const state = await collect(machine.saveState());
      await machine.kill();
      const start: MachineStart = { kind: "saved", template, state: pieces(state) };
      machine = await host.hypervisor.launch(await host.spec(start, "saved"));
      await machine.load();
      const resumed = await GuestProbe.start(machine, {
        reason: "resume",
        expectedToken: linkToken,
        linkToken,
      });
      expect(await resumed.count()).toBe(expected);
      resumed.close();
    }
    await machine.kill();
  });

  test("state that was cut short is an invalid snapshot, and the process can still be ended", async () => {
    await using source = await clone("cut");
    const state = await collect(source.saveState());
    await source.kill();
    const start: MachineStart = {
      kind: "saved",
      template,
      state: pieces(state.subarray(0, state.length - 3)),
    };
    await using machine = await host.hypervisor.launch(await host.spec(start, "cut"));
    await expect(machine.load()).rejects.toMatchObject({ code: "snapshot.invalid" });
    await machine.kill();
    expect(await machine.exited).toEqual({ reason: "killed", detail: "" });
  });

  test("a new connection replaces the one before", async () => {
    await using machine = await clone("relink");
    const before = await machine.openLink();
    const closed = new Promise((resolve) => before.once("close", resolve));
    const guest = await startClone(machine);
    await closed;
    expect(await guest.count()).toBe(3);
    guest.close();
  });

  test("a machine outlives hostd: the next life adopts it and no other process", async () => {
    const linkToken = randomBytes(32).toString("hex");
    const machine = await clone("adopted");
    const orphan = await clone("orphan");
    const guest = await startClone(machine, linkToken);
    expect(await guest.count()).toBe(3);
    guest.close();
    await host.hypervisor.letGo();
    const next = host.reopen();
    expect(await next.adopt({ ...machine.record, startTicks: "1" })).toBeUndefined();
    const adopted = await next.adopt(machine.record);
    if (adopted === undefined) throw new Error("the machine was not found again");
    expect(adopted.record).toEqual(machine.record);
    await next.reap();
    expect(await next.adopt(orphan.record)).toBeUndefined();
    const resumed = await GuestProbe.start(adopted, {
      reason: "reconnect",
      expectedToken: linkToken,
      linkToken,
    });
    expect(await resumed.count()).toBe(4);
    resumed.close();
    await adopted.kill();
    expect(await adopted.exited).toMatchObject({ reason: "killed" });
    expect(await next.adopt(machine.record)).toBeUndefined();
  });

  test("a guest that powers off is told apart from a kill", async () => {
    await using machine = await clone("halted");
    const guest = await startClone(machine);
    await guest.shutDown();
    expect(await machine.exited).toMatchObject({ reason: "guest_halted" });
    guest.close();
    await expect(machine.start()).rejects.toMatchObject({ code: "vm.gone" });
  });

  test("a machine booted without a template can be saved as well", async () => {
    const linkToken = randomBytes(32).toString("hex");
    const machine = await host.hypervisor.launch(await host.spec({ kind: "boot" }, "plain"));
    const guest = await GuestProbe.start(machine, { reason: "boot", linkToken });
    expect(await guest.count()).toBe(1);
    guest.close();
    await machine.stop();
    const state = await collect(machine.saveState());
    await machine.kill();
    const start: MachineStart = { kind: "saved", template: undefined, state: pieces(state) };
    await using next = await host.hypervisor.launch(await host.spec(start, "plain"));
    const resumed = await GuestProbe.start(next, { reason: "resume", expectedToken: linkToken, linkToken });
    expect(await resumed.count()).toBe(2);
    resumed.close();
  });

  test("a launch given up by its caller leaves nothing", async () => {
    const spec = await host.spec({ kind: "template", template }, "aborted");
    const reason = new Error("given up");
    await expect(host.hypervisor.launch({ ...spec, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await using machine = await host.hypervisor.launch(spec);
    expect(machine.record.machineId).toBe(spec.machineId);
  });
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** In sizes that fit no record. */
async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 777_777) yield bytes.subarray(at, at + 777_777);
}
