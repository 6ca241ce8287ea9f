import { statSync } from "node:fs";
import type { LinkHelloAnswer } from "@atoll/protocol/link-handshake";
import type { SavedState, SimMachine } from "./sim-machine.ts";
import type { SimWorld } from "./sim-world.ts";

/** The machine processes of one host, over all lives of hostd, and what must hold between them. */
export class SimHost {
  readonly world: SimWorld;
  readonly machines = new Map<number, SimMachine>();
  /** Those that are gone, for the checks at the end. */
  readonly ended: SimMachine[] = [];
  nextPid = 1000;
  nextSaveId = 1;
  /** Of the monitor that the next life of hostd finds installed. */
  vmmVersion = 1;
  /** Counts handshakes that make a guest somebody's. */
  nextHello = 1;
  /** What guests of this host answer to handshakes that is not as it should be. */
  guestAnswer: Partial<LinkHelloAnswer> = {};

  constructor(world: SimWorld) {
    this.world = world;
  }

  setGuestAnswer(answer: Partial<LinkHelloAnswer>): void {
    this.guestAnswer = answer;
    for (const { guest } of this.machines.values()) guest.answer = answer;
  }

  /** The host went down: nobody is told. */
  crash(): void {
    for (const machine of this.machines.values())
      machine.end({ reason: "killed", detail: "the host went down" });
  }

  /** I12: of a workspace that just came to run; its start began when `since` handshakes had been. */
  checkRunning(workspaceId: string, since: number): void {
    const own = this.all.filter(({ taken }) => taken?.workspaceId === workspaceId && taken.serial >= since);
    const isConfirmed = own.some(({ taken, isTimely }) => taken?.isReseeded === true && isTimely);
    if (isConfirmed) return;
    const about = own.map(({ taken, isTimely }) => `reseeded ${taken?.isReseeded}, timely ${isTimely}`);
    this.world.violation(
      `I12: ${workspaceId.slice(0, 6)} runs, and its guest confirmed no new start (${about})`,
    );
  }

  get all(): SimMachine[] {
    return [...this.machines.values(), ...this.ended];
  }

  /** I1: at launch, nobody else may have the disk. */
  checkLaunch(machine: SimMachine): void {
    for (const other of this.machines.values()) {
      if (other === machine || machine.directory === undefined) continue;
      if (other.directory === machine.directory) {
        this.world.violation(
          `I1: ${machine.record.machineId} and ${other.record.machineId} have one disk open`,
        );
      }
    }
  }

  /** I1: what another machine only reads must not change below it. */
  checkWrite(machine: SimMachine): void {
    const path = machine.topPath;
    if (path === undefined) return;
    // Layers are shared between disks by hard links.
    const { ino } = statSync(path);
    for (const other of this.machines.values()) {
      if (other === machine) continue;
      const viewed = other.view.map(({ layerId }) => `${other.viewDirectory}/${layerId}.qcow2`);
      if ([...other.paths, ...viewed].some((one) => statSync(one, { throwIfNoEntry: false })?.ino === ino)) {
        this.world.violation(`I1: ${machine.record.machineId} writes a layer of ${other.record.machineId}`);
      }
    }
  }

  /** I2: memory is let run over exactly the disk it was saved over. */
  checkStart(machine: SimMachine, state: SavedState): void {
    if (machine.directory === undefined) return;
    const now = machine.diskWords();
    if (JSON.stringify(now) === JSON.stringify(state.disk)) return;
    this.world.violation(
      `I2: memory ${state.saveId} over another disk: saved over [${state.disk}], found [${now}]`,
    );
  }

  /** I2: a state is resumed by one machine at most; others that begin from it take a new identity first. */
  checkResumes(): void {
    const resumed = new Map<number, SimMachine>();
    for (const machine of this.all) {
      const { startedFrom } = machine;
      if (startedFrom === undefined || machine.guest.hellos[0]?.reason !== "resume") continue;
      const other = resumed.get(startedFrom);
      if (other !== undefined) {
        this.world.violation(
          `I2: memory ${startedFrom} was resumed by ${other.record.machineId} and ${machine.record.machineId}`,
        );
      }
      resumed.set(startedFrom, machine);
    }
    for (const machine of this.all) {
      const { startedFrom, directory } = machine;
      if (startedFrom === undefined || machine.guest.hellos.length > 0 || directory === undefined) continue;
      const other = resumed.get(startedFrom);
      if (other !== undefined && other.directory === directory && other !== machine) {
        this.world.violation(`I2: memory ${startedFrom} ran twice over ${directory}`);
      }
    }
  }

  /** I13: no two handshakes share a secret, and no two workspaces a machine id or link token. */
  checkIdentities(): void {
    const entropy = new Set<string>();
    const owners = new Map<string, string>();
    for (const { guest } of this.all) {
      for (const hello of guest.hellos) {
        if (entropy.has(hello.entropy)) this.world.violation("I13: entropy was handed out twice");
        entropy.add(hello.entropy);
        const { workspaceId, machineId } = hello.identity;
        for (const [what, value] of [
          ["machine id", machineId],
          ["link token", hello.linkToken],
        ] as const) {
          const owner = owners.get(`${what} ${value}`);
          if (owner !== undefined && owner !== workspaceId) {
            this.world.violation(`I13: ${what} of ${workspaceId} is that of ${owner}`);
          }
          owners.set(`${what} ${value}`, workspaceId);
        }
      }
    }
  }
}
