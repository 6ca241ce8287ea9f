import type { MessageDefinition } from "@atoll/protocol/message";
import * as core from "@atoll/protocol/messages/core";
import * as files from "@atoll/protocol/messages/files";
import * as ports from "@atoll/protocol/messages/ports";
import * as processes from "@atoll/protocol/messages/process";
import * as terminal from "@atoll/protocol/messages/terminal";
import * as views from "@atoll/protocol/messages/views";

/** Everything the guest answers, by wire name: who may open what is read from here. */
export const GUEST_MESSAGES: ReadonlyMap<string, MessageDefinition> = new Map(
  [core, files, ports, processes, terminal, views]
    .flatMap((module) => Object.values(module) as unknown[])
    .filter(isDefinition)
    .map((definition) => [definition.name, definition]),
);

function isDefinition(value: unknown): value is MessageDefinition {
  return (
    typeof value === "object" &&
    value !== null &&
    "callers" in value &&
    "name" in value &&
    "kind" in value &&
    (value.kind === "request" || value.kind === "channel")
  );
}
