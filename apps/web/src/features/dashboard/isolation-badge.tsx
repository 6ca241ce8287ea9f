"use client";
import type { Isolation } from "@atoll/protocol/workspace-status";
import { ShieldAlert, ShieldCheck } from "lucide-react";
import { Tooltip } from "#ui/tooltip.tsx";

const WORDS: Record<Isolation, { label: string; text: string }> = {
  emulated: {
    label: "Emulated — not a security boundary",
    text: "This host has no hardware virtualisation, so the processor is emulated. That is real and complete, but slower, and it is not meant to keep hostile code in.",
  },
  hardware: {
    label: "Hardware isolation",
    text: "The processor itself separates this machine from all others.",
  },
};

export function IsolationBadge({ isolation, isShort = false }: { isolation: Isolation; isShort?: boolean }) {
  const { label, text } = WORDS[isolation];
  const Icon = isolation === "emulated" ? ShieldAlert : ShieldCheck;
  return (
    <Tooltip content={text}>
      <button
        type="button"
        className="inline-flex h-5.5 cursor-help items-center gap-1 rounded-full border border-line px-2 text-ink-soft text-xs"
        aria-label={label}
      >
        <Icon aria-hidden className="size-3" />
        {isShort ? (isolation === "emulated" ? "Emulated" : "Hardware") : label}
      </button>
    </Tooltip>
  );
}
