import { AtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import type { SnapshotRef } from "../machines/machine-source.ts";
import { FakeGuest, type FakeGuestDisk } from "./fake-guest.ts";

/** What a guest's RAM holds: saved and loaded, it goes on as the same guest over the same disk and no other. */
export interface GuestMemory {
  counter: number;
  expectedToken: string;
  diskWrites: number;
  /** Behaviour that a test gave the guest stays with it. */
  answer: FakeGuest["answer"];
  quiesce: FakeGuest["quiesce"];
  run: FakeGuest["run"];
}

export function memoryOf(guest: FakeGuest): GuestMemory {
  const { counter, expectedToken, diskWrites, answer, quiesce, run } = guest;
  return { counter, expectedToken, diskWrites, answer, quiesce, run };
}

export function guestWith(memory: GuestMemory): FakeGuest {
  return Object.assign(new FakeGuest(), memory);
}

/** A state of a disk that nobody writes to any more. */
export interface StoredState {
  content: ReadonlyMap<string, string>;
  memory: GuestMemory | undefined;
}

/** What lies on the host's disk for one workspace or template. */
export class FakeStoredDisk implements FakeGuestDisk {
  readonly diskId: string;
  readonly workspaceId: string;
  readonly checkpoints = new Map<string, StoredState & { info: CheckpointInfo }>();
  epoch = 1;
  layerCount = 1;
  isArchived = false;
  parentId: string | null = null;
  snapshot: { ref: SnapshotRef; epoch: number; memory: GuestMemory } | undefined;
  content: Map<string, string>;

  constructor(diskId: string, workspaceId: string, content: ReadonlyMap<string, string> = new Map()) {
    this.diskId = diskId;
    this.workspaceId = workspaceId;
    this.content = new Map(content);
  }

  read(key: string): string | undefined {
    return this.content.get(key);
  }

  write(key: string, value: string): void {
    this.content.set(key, value);
  }

  /** @throws AtollError checkpoint.not_found */
  checkpoint(checkpointId: string): StoredState & { info: CheckpointInfo } {
    const stored = this.checkpoints.get(checkpointId);
    if (stored === undefined) throw new AtollError("checkpoint.not_found");
    return stored;
  }
}
