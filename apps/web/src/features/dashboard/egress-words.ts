import type { EgressPreset } from "@atoll/protocol/messages/egress";

export const EGRESS_WORDS: Record<EgressPreset, { label: string; hint: string }> = {
  off: { label: "Off", hint: "Nothing gets out, not even as root. Previews still work." },
  packages: { label: "Package sources", hint: "apt, npm and pip can install; nothing else is reachable." },
  open: { label: "Open", hint: "The public internet over HTTP and HTTPS. Never private networks." },
};
export const EGRESS_PRESETS = Object.keys(EGRESS_WORDS) as EgressPreset[];
