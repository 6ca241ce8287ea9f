import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import type { MachineRecord } from "../../hypervisor/hypervisor.ts";
import { machineRecord } from "./workspace-record.ts";

/** A record that cannot be read, as when it is damaged or of a newer format. What it names must be left alone. */
export interface UnreadableRecord {
  kind: "workspace" | "template" | "tombstone";
  id: string;
  /** The rest as far as the file still tells; undefined when it does not. */
  ownerId: string | undefined;
  /** Null of one that has none. */
  diskId: string | null | undefined;
  machine: MachineRecord | undefined;
}

const owned = z.looseObject({ ownerId: uuid });
const onDisk = z.looseObject({ disk: z.looseObject({ diskId: z.string() }).nullable() });
const withMachine = z.looseObject({ machine: machineRecord });

/** @param text of the file, or undefined when not even that can be had */
export function unreadableRecord(
  kind: UnreadableRecord["kind"],
  id: string,
  text: string | undefined,
): UnreadableRecord {
  const value = parsed(text) ?? whatIsLeft(text ?? "");
  const disk = onDisk.safeParse(value).data?.disk;
  return {
    ...{ kind, id },
    ownerId: owned.safeParse(value).data?.ownerId,
    diskId: disk === null ? null : disk?.diskId,
    machine: withMachine.safeParse(value).data?.machine,
  };
}

/** Of a text that is no JSON any more: what can be read of it is only used to leave things alone. */
function whatIsLeft(text: string): Record<string, unknown> {
  const ownerId = /"ownerId":"([0-9a-f-]{36})"/.exec(text)?.[1];
  const machine = parsed(/"machine":(\{[^{}]*\})/.exec(text)?.[1]);
  return { ...(ownerId === undefined ? {} : { ownerId }), ...(machine === undefined ? {} : { machine }) };
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
